"""Which groups rebalance, how much they lose by it, and which of their timeouts doesn't fit."""

from common import CLUSTERS, GROUPS, REBALANCES, cluster_variable, group_variable, row_to_group, runbook, series_to_group
from grafana import FEW_WANTED, NONE_WANTED, OBJECTIVE, Column, Label, Row, dashboard, graph, stat, table, text

WHERE = (CLUSTERS, GROUPS)
COUNTER = "kafka_consumergroup_rebalances_total"
PAUSED = "kafka_consumergroup_rebalancing_seconds_total"
BY_GROUP = "{{cluster}} {{consumergroup}}"
# Of its time, that a group spends rebalancing.
PAUSES = [("green", None), ("yellow", 0.05), ("red", 0.2)]

REMEDIES = """\
**The spiral**: a batch takes longer than `max.poll.interval.ms` (the heartbeats themselves: `session.timeout.ms`) → the coordinator throws the
member out → a rebalance, during which nobody reads → more lag, larger batches → the next member is thrown out.

1. Measure how long a batch takes at worst. `max.poll.interval.ms` must be longer, with room to spare.
2. Or make the batch smaller: `max.poll.records`. Move slow work (calls to other systems) to where it doesn't hold up `poll()`.
3. `session.timeout.ms` must outlast the longest pause of the process (garbage collection, throttled CPU), with three heartbeats in it.
4. Members that restart on purpose: `group.instance.id` (static membership), and the cooperative-sticky assignor or the new group protocol.
"""


def numbers(q):
    state = q.value("kafka_consumergroup_state", *WHERE, 'state=~"PreparingRebalance|CompletingRebalance"')
    none = "No group is known"
    return [
        stat("Rebalances", "In the time that is shown. A deploy makes two or three a group; those that nobody caused mean members that "
             "die or are thrown out.", f"sum({q.growth(COUNTER, *WHERE)})", "short", none, decimals=0),
        stat("Groups in a death spiral", "Rebalances keep coming, consumption pauses, the lag grows: it will not end by itself. Raise "
             "max.poll.interval.ms or lower max.poll.records of these groups now.",
             q.groups_that_are("death_spiral", *WHERE), "short", none, steps=NONE_WANTED, links=[runbook("death_spiral")]),
        stat("Groups in a rebalance storm", "Rebalances keep coming, but the lag doesn't grow yet. Find out which member leaves and "
             "comes back.", q.groups_that_are("rebalance_storm", *WHERE), "short", none, steps=FEW_WANTED, links=[runbook("rebalance_storm")]),
        stat("Groups rebalancing now", "Seen in a rebalance by the last poll: they read nothing at this moment. One that stays here waits "
             "for a member that doesn't come back before max.poll.interval.ms.", f"sum({state})", "short", "States are not known",
             steps=FEW_WANTED),
        stat("Most time spent rebalancing", "The largest share of the time shown that a group spent rebalancing, as sampled by the polls. "
             "From a fifth on it hurts: the table says which.", f"max({q.increase(PAUSED, *WHERE)}) / $__range_s", "percentunit", none,
             steps=PAUSES, decimals=1),
        stat("Members", "Live members of all these groups.", f"sum({q.value('kafka_consumergroup_members', *WHERE)})", "short",
             "Members are not known"),
    ]


def groups(q):
    most = f"topk(20, {q.growth(COUNTER, *WHERE)})"

    def of(query):
        return f"{query} and {most}"

    columns = [
        Column(most, "Rebalances", "locale"),
        Column(of(f"{q.increase(PAUSED, *WHERE)} / $__range_s"), "Time rebalancing", "percentunit", steps=PAUSES, decimals=1),
        Column(of(q.value("kafka_consumergroup_members", *WHERE)), "Members", "short"),
        Column(of(q.value("kafka_consumergroup_static_members", *WHERE)), "Static members", "short"),
        Column(of(q.value("kafka_consumergroup_session_timeout_seconds", *WHERE)), "session.timeout.ms", "s"),
        Column(of(q.value("kafka_consumergroup_rebalance_timeout_seconds", *WHERE)), "max.poll.interval.ms", "s"),
        Column(of(q.lag_to_objective(*WHERE)), "Time lag / objective", "percentunit", steps=OBJECTIVE, decimals=0),
    ]
    return table("The twenty groups that rebalance most", "Compare the two timeouts with how long the group takes for a batch at worst: "
                 "they must be longer. Without static members each restart is a rebalance.",
                 [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group())], columns, "No group is known",
                 sort="Rebalances", height=10)


def history(q):
    # Chosen by what they did in all of the time, not by their last moment.
    def most(metric):
        return f"topk(10, {q.at_end.increase(metric, *WHERE)})"

    members = q.value("kafka_consumergroup_members", *WHERE)
    states = f"sum by (state) ({q.value('kafka_consumergroup_state', *WHERE)}) > 0"
    return [
        graph("Rebalances of the ten groups that have most", "In each span of time. All at once: a broker or the network. One group again "
              "and again: its timeouts. At the times of deploys: nothing is wrong.",
              [(f"{q.growth_by_step(COUNTER, *WHERE)} and {most(COUNTER)}", BY_GROUP)], "short",
              "No group is known", bars=True, stacked=True, links=series_to_group()),
        graph("Share of time without consumption", "Of the ten groups that spent most time rebalancing, sampled by the polls. While a group "
              "rebalances nobody reads: from a fifth on, raise its timeouts.",
              [(f"{q.rate(PAUSED, *WHERE)} and {most(PAUSED)}", BY_GROUP)], "percentunit", "No group is known", steps=PAUSES,
              links=series_to_group()),
        graph("Members of these groups", "A saw-tooth is a member that is thrown out and comes back: read its log for "
              "max.poll.interval.ms, and the coordinator's for the reason.",
              [(f"{members} and {most(COUNTER)}", BY_GROUP)], "short", "Members are not known", links=series_to_group()),
        graph("Groups by state", "Preparing and completing are the halves of a rebalance. A group that stays in them is waiting for a "
              "member; many at once are waiting for a broker.",
              [(states, "{{state}}")], "short", "States are not known", stacked=True),
    ]


def build(q):
    rows = [
        Row("Now", numbers(q)),
        Row("Which groups", [groups(q)]),
        Row("When", history(q)),
        Row("What to do", [
            text("Out of the spiral", "Measure a batch first; then change one of these.", REMEDIES)]),
    ]
    variables = [cluster_variable(), group_variable(CLUSTERS)]
    return dashboard(REBALANCES, "Tidemark / Rebalances", "Which groups rebalance, what it costs them, and which timeout doesn't fit.",
                     variables, rows, alerts=(CLUSTERS, GROUPS))
