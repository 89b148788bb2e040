"""What there is to be shown: the metrics and conditions that the program declares, and queries that can name no others."""

import copy
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The grades, worst first; a grade's place in this list is its rank.
GRADES = ["critical", "warning", "info"]

_RECORDED = re.compile(r"^ *- record: (\S+)$", re.M)
_CONDITION = re.compile(r'CONDITION\([A-Z_]+, "([a-z_]+)", GRADE_([A-Z]+)\)')

# Above every Unix time in seconds: a rank times this, plus a time, sorts by rank and then by time.
_BEYOND_TIME = "1e10"


class Catalogue:
    """Builds PromQL. Whoever runs two Tidemarks, or replaces one, has each series twice: so all is read through
    `max by` the catalogue's labels, which leaves one, without Prometheus' own labels job and instance; recording rules do
    the same."""

    def __init__(self, program):
        shown = subprocess.run([program, "metrics", "--json"], stdout=subprocess.PIPE, check=True)
        self.labels = {metric["name"]: metric["labels"] for metric in json.loads(shown.stdout)}
        declared = _CONDITION.findall((ROOT / "exporter/findings.h").read_text())
        # {grade: its conditions, gravest first}
        self.conditions = {grade: [name for name, of in declared if of.lower() == grade] for grade in GRADES}

        self.recorded_names = _RECORDED.findall((ROOT / "alerts/rules/tidemark.recording.yml").read_text())
        self._moment = ""

    @property
    def at_end(self):
        """Builds the same queries, of the end of the time that is shown."""
        end = copy.copy(self)
        end._moment = " @ end()"
        return end

    def _one(self, metric, expression):
        labels = ", ".join(self.labels[metric])
        return f"max by ({labels}) ({expression})"

    def _selector(self, metric, matchers, window=""):
        return f"{metric}{{{','.join(matchers)}}}{window}{self._moment}"

    def value(self, metric, *matchers):
        """The metric's value, with the catalogue's labels."""
        return self._one(metric, self._selector(metric, matchers))

    def recorded(self, name, *matchers):
        """What a recording rule keeps, which would have to be summed up of very many series whenever somebody looks."""
        assert name in self.recorded_names, name
        level = name.split(":")[0]
        return f"max by ({level.replace('_', ', ')}) ({self._selector(name, matchers)})"

    def group_lag(self, *matchers):
        """Each group's unread messages."""
        return self.recorded("cluster_consumergroup:kafka_consumergroup_lag:sum", *matchers)

    def group_lag_seconds(self, *matchers):
        """The age of each group's oldest unread message."""
        return self.recorded("cluster_consumergroup:kafka_consumergroup_lag_seconds:max", *matchers)

    def written(self, *matchers):
        """Messages a second on each topic, over five minutes."""
        return self.recorded("cluster_topic:kafka_topic_partition_current_offset:deriv5m", *matchers)

    def read(self, *matchers):
        """Messages a second by each group on each topic, over five minutes; negative while offsets are moved back."""
        return self.recorded("cluster_consumergroup_topic:kafka_consumergroup_current_offset:deriv5m", *matchers)

    def rate(self, counter, *matchers):
        """What a counter grows by in a second."""
        return self._one(counter, f"rate({self._selector(counter, matchers, '[$__rate_interval]')})")

    def slope(self, gauge, *matchers):
        """What a gauge, such as an offset, grows by in a second; negative while it is moved back."""
        return self._one(gauge, f"deriv({self._selector(gauge, matchers, '[$__rate_interval]')})")

    def increase(self, counter, *matchers, window="$__range"):
        """What a counter grew by: in all of the time that is shown, or in a window."""
        return self._one(counter, f"increase({self._selector(counter, matchers, f'[{window}]')})")

    def growth(self, counter, *matchers):
        """How much exactly a counter grew in the time that is shown: increase() extrapolates, and lost messages are
        no estimate. A Tidemark with a state directory that is started at another address counts on from where it
        was. Where the counter is younger, or began anew, it is all that it counts."""
        now, before = self._selector(counter, matchers), self._selector(counter, matchers, " offset $__range")
        elsewhere = f"on ({', '.join(self.labels[counter])}) group_left () {self._one(counter, before)}"
        return self._one(counter, f"{now} - {before} >= 0 or {now} - {elsewhere} >= 0 or {now}")

    def growth_by_step(self, counter, *matchers):
        """The same for each span of a graph: $__rate_interval is longer than a span, and counts in several of them."""
        now, before = self._selector(counter, matchers), self._selector(counter, matchers, " offset $__interval")
        return self._one(counter, f"clamp_min({now} - {before}, 0)")

    def top(self, count, query, pick="topk"):
        """Those of query(catalogue) that are the most at the end. A bare topk() picks others at each moment, and a
        graph has all of them."""
        return f"{query(self)} and {pick}({count}, {query(self.at_end)})"

    def _graded(self, query):
        """The union of a query for each grade: query(rank, conditions) gets 1 for the worst, and a matcher."""
        return " or ".join(
            query(rank, f'condition=~"{"|".join(self.conditions[grade])}"') for rank, grade in enumerate(GRADES, 1)
        )

    def worst_conditions(self, count, *matchers):
        """For how many seconds each true condition has been true, of so many: those of the worst grade, and the
        oldest of them. Their label `severity` is "1" for critical, "2" for warning, "3" for info."""
        metric = "kafka_consumergroup_condition_since_timestamp_seconds"

        def ranked(rank, conditions):
            since = self.value(metric, *matchers, conditions)
            return f'label_replace({rank} * {_BEYOND_TIME} + {since}, "severity", "{rank}", "", "")'

        return f"sort_desc(time() - bottomk({count}, {self._graded(ranked)}) % {_BEYOND_TIME})"

    def grade(self, *matchers):
        """3 for a group with a critical condition, 2 with a warning, 1 with an info, 0 with none."""

        def weighed(rank, conditions):
            return f"{4 - rank} * {self.value('kafka_consumergroup_condition', *matchers, conditions)}"

        return f"max by (cluster, consumergroup) ({self._graded(weighed)})"

    def groups_that_are(self, condition, *matchers):
        """How many groups a condition is true for."""
        return f"sum({self.value('kafka_consumergroup_condition', *matchers, f'condition={json.dumps(condition)}')})"

    def groups_with(self, grade, *matchers):
        """How many groups have a condition of that grade. 0 when none has; nothing when no group is known."""
        conditions = "|".join(self.conditions[grade])
        condition = self.value("kafka_consumergroup_condition", *matchers, f'condition=~"{conditions}"')
        return f"sum(max by (cluster, consumergroup) ({condition}))"

    def lag_to_objective(self, *matchers):
        """Each group's time lag as a share of its objective: above 1 it is missed."""
        return f"{self.group_lag_seconds(*matchers)} / {self.value('kafka_consumergroup_objective_seconds', *matchers)}"

    def late(self, *matchers):
        """The same without the groups that replay: they are behind because somebody sent them back."""
        replaying = self.value("kafka_consumergroup_condition", *matchers, 'condition="replaying"')
        return f"{self.lag_to_objective(*matchers)} unless on (cluster, consumergroup) {replaying} == 1"

    def within_objective(self, *matchers, window="$__range"):
        """The share of the window in which each group's time lag was within its objective."""
        good = self.increase("kafka_consumergroup_slo_good_seconds_total", *matchers, window=window)
        return f"{good} / {self.increase('kafka_consumergroup_slo_seconds_total', *matchers, window=window)}"
