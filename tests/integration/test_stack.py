"""Demo, Tidemark, Prometheus, Alertmanager and a webhook, as `make stack` starts them: what a person is told."""

import json
import os
import re
import signal
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

import processes
from daemon import PROGRAM

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.once

BURNS = {"TimeLagBudgetBurnsFast", "TimeLagBudgetBurnsSlowly"}
NOT_READ = {"ConsumerGroupStopped", "ConsumerGroupRetentionRisk"}
# Of each group what has to be told, and what may be told beside it.
STORIES = {
    "warehouse": ({"ConsumerGroupDataLost"}, NOT_READ | BURNS),
    "invoices": ({"ConsumerGroupRetentionRisk"}, NOT_READ | BURNS),
    "reports": ({"ConsumerGroupStopped"}, BURNS),
    "mailer": ({"ConsumerGroupStuck"}, BURNS),
    "fraud-check": ({"ConsumerGroupDeathSpiral"}, {"ConsumerGroupRebalanceStorm", "ConsumerGroupFallingBehind"} | BURNS),
    "search-index": ({"ConsumerGroupFallingBehind"}, BURNS),
    "directory": ({"ConsumerGroupCompactionRisk"}, set()),
    "loyalty": ({"ConsumerGroupSkipped"}, set()),
    "recommendations": ({"ConsumerGroupSkewed"}, set()),
    "notifications": ({"ConsumerGroupIdleMembers"}, set()),
    "audit": ({"ConsumerGroupReplaying"}, BURNS),
    "billing": (set(), set()),
    "storefront": (set(), set()),
}
# Topics that keep messages for less time than a group may be down; only what is compacted is kept for longer.
FORGETFUL = {"clicks", "emails", "orders", "payments", "shipments", "views"}
STUCK_TOLD_S = 180

# The queries of kafka_exporter's own dashboard, kafka_exporter_overview.json in its repository, as of version 1.9.0.
KAFKA_EXPORTER = [
    'sum(rate(kafka_topic_partition_current_offset{instance="$instance", topic=~"$topic"}[1m])) by (topic)',
    'sum(kafka_consumergroup_lag{instance="$instance",topic=~"$topic"}) by (consumergroup, topic)',
    "sum(delta(kafka_topic_partition_current_offset{instance=~'$instance', topic=~\"$topic\"}[5m])/5) by (topic)",
    "sum(delta(kafka_consumergroup_current_offset{instance=~'$instance',topic=~\"$topic\"}[5m])/5) by (consumergroup, topic)",
    'sum by(topic) (kafka_topic_partitions{instance="$instance",topic=~"$topic"})',
    # as an older one of its versions asks
    'sum(rate(kafka_topic_partition_current_offset{topic!="__consumer_offsets"}[1m])) by (topic)',
    'sum(kafka_consumergroup_lag) by (consumergroup, topic) ',
    'sum by(topic) (kafka_topic_partitions{topic!="__consumer_offsets"})',
    # what its variables take the values of job, instance and topic from
    "kafka_consumergroup_current_offset",
    'kafka_consumergroup_current_offset{job=~"$job"}',
    "kafka_topic_partition_current_offset{instance='$instance',topic!='__consumer_offsets',topic!='--kafka'}",
]


def said_for_want_of_a_number(alert):
    """What its description says where Prometheus has no answer."""
    groups = yaml.safe_load((ROOT / "alerts/rules/tidemark.alerts.yml").read_text())["groups"]
    [rule] = [rule for group in groups for rule in group["rules"] if rule["alert"] == alert]
    return re.findall(r"{{ else }}(.*?){{ end }}", rule["annotations"]["description"])


class Stack:
    def __init__(self, folder):
        self.journal, self.output = folder / "journal", folder / "output"
        self.process = processes.start(
            [ROOT / "alerts/stack", "--tidemark", PROGRAM, "--journal", self.journal],
            stdin=subprocess.DEVNULL, stdout=open(self.output, "wb"), stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder)},
        )

    def printed(self):
        return self.output.read_text(errors="replace")

    def changes(self):
        assert self.process.poll() is None, self.printed()
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def told(self):
        """{group: {alert: what was last told of it}}"""
        told = {}
        for change in self.changes():
            labels = change["labels"]
            told.setdefault(labels.get("consumergroup", ""), {})[labels["alertname"]] = change
        return told

    def forgetful(self):
        """The topics that are said to be so."""
        told = [change["labels"] for change in self.changes()]
        return {labels["topic"] for labels in told if labels["alertname"] == "TopicRetentionTooShort"}

    def query(self, expression):
        base = re.search(r"(http://127\.0\.0\.1:\d+)/alerts", self.printed()).group(1)
        with urllib.request.urlopen(f"{base}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=60) as answer:
            return json.load(answer)["data"]["result"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(120) == 0, stack.printed()


def test_the_stuck_group_is_told_with_its_runbook(stack):
    """Within three minutes of the time when all of it runs, at the webhook."""
    processes.wait_until(lambda: "/alerts" in stack.printed(), what="the start of all programs")
    stuck = processes.wait_until(
        lambda: stack.told().get("mailer", {}).get("ConsumerGroupStuck"), STUCK_TOLD_S, "the stuck group's alert"
    )
    assert stuck["labels"]["topic"] == "emails" and stuck["labels"]["partition"] == "0"
    with urllib.request.urlopen(stuck["annotations"]["runbook"], timeout=60) as answer:
        assert "# The group is stuck" in answer.read().decode()


def test_each_story_is_told_and_nothing_else(stack):
    def all_told():
        told = stack.told()
        missing = {group: needed - set(told.get(group, {})) for group, (needed, _) in STORIES.items()}
        missing = {group: needed for group, needed in missing.items() if needed}
        assert not missing, f"{missing}\n{stack.printed()}"
        assert stack.forgetful() == FORGETFUL, stack.printed()
        return told

    told = processes.wait_until(all_told, 480, "all stories")
    for group, found in told.items():
        if group:
            needed, allowed = STORIES[group]
            assert set(found) <= needed | allowed, f"{group}\n{stack.printed()}"
    assert set(told[""]) == {"TopicRetentionTooShort"}, stack.printed()
    for change in stack.changes():
        for unknown in said_for_want_of_a_number(change["labels"]["alertname"]):
            assert unknown not in change["annotations"]["description"], change


def test_dashboards_of_kafka_exporter_answer(stack):
    def answer(query):
        return processes.wait_until(lambda: "/alerts" in stack.printed() and stack.query(query), 120, query)

    ours = answer("tidemark_build_info")[0]["metric"]
    for query in KAFKA_EXPORTER:
        filled = query.replace("$instance", ours["instance"]).replace("$job", ours["job"]).replace("$topic", ".*")
        answer(filled)


def test_the_alert_clears_when_the_group_is_mended(stack):
    """As the guide that it prints says: a touch."""
    processes.wait_until(
        lambda: stack.told().get("mailer", {}).get("ConsumerGroupStuck"), STUCK_TOLD_S, "the stuck group's alert"
    )
    mend = re.search(r"To mend the mailer: +touch (\S+)", stack.printed()).group(1)
    Path(mend).touch()
    processes.wait_until(
        lambda: stack.told()["mailer"]["ConsumerGroupStuck"]["status"] == "resolved", 240, "the end of the alert"
    )
