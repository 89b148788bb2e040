"""What is wrong now, worst first."""

from common import CLUSTERS, GROUPS, ITSELF, NOT_RECORDED, OVERVIEW, RETENTION, cluster_variable, group_variable
from common import row_to_group, row_to_runbook, runbook, series_to_group
from grafana import FEW_WANTED, GRADES, NONE_WANTED, NEUTRAL, OBJECTIVE, SEVERITIES, WITHIN_OBJECTIVE
from grafana import Column, Label, Row, dashboard, graph, link, stat, table, to_dashboard

WHERE = (CLUSTERS, GROUPS)
BY_GROUP = "{{cluster}} {{consumergroup}}"


def numbers(q):
    over = f"({q.late(*WHERE)}) > bool 1"
    return [
        stat("Critical groups", "Groups that lose messages or don't progress. Each is in the table below: start with its "
             "first line, whose runbook says how to confirm it and what to do.",
             q.groups_with("critical", *WHERE), "short", "No group is known: see Tidemark itself", steps=NONE_WANTED),
        stat("Groups with a warning", "Groups that will have a problem if nothing changes. They can wait until those that are "
             "critical are mended.",
             q.groups_with("warning", *WHERE), "short", "No group is known: see Tidemark itself", steps=FEW_WANTED),
        stat("Groups over their objective", "Groups whose oldest unread message is older than the group's objective, but for those that "
             "replay. Find out whether they still read, and add members up to the number of partitions if they do.",
             f"sum({over})", "short", NOT_RECORDED, steps=FEW_WANTED,
             links=[runbook("time_lag_budget")]),
        stat("Messages lost", "Messages that were deleted before a group read them, in the time that is shown. Open the ledger "
             "to see whose, and restore them from their source.",
             f"sum({q.growth('kafka_consumergroup_lost_messages_total', *WHERE)})", "short", "No group is known",
             steps=NONE_WANTED, decimals=0, links=[link("Open the ledger", to_dashboard(RETENTION, cluster="All"))]),
        stat("Sources that can't be read", "Clusters and log stores of which nothing new is known: their groups' numbers are as "
             "old as the last success. Restore the connection first, for everything else here may be out of date.",
             f"sum({q.value('tidemark_source_up', CLUSTERS)} == bool 0)", "short", "Prometheus doesn't scrape Tidemark",
             steps=NONE_WANTED, links=[link("Open Tidemark itself", to_dashboard(ITSELF))]),
        stat("Groups watched", "Consumer groups that Tidemark judges. Fewer than you have: compare the filters in its "
             "configuration, and its permissions with `tidemark check`.",
             f"count({q.value('kafka_consumergroup_objective_seconds', *WHERE)})", "short",
             "No group is known: see Tidemark itself", steps=NEUTRAL),
    ]


def conditions(q):
    labels = [
        Label("severity", "Severity", texts=SEVERITIES, width=90),
        Label("condition", "Condition", row_to_runbook()),
        Label("cluster", "Cluster"),
        Label("consumergroup", "Group", row_to_group()),
        Label("topic", "Topic"),
        Label("partition", "Partition", width=90),
    ]
    return table(
        "What is wrong now",
        "The hundred worst conditions that are true, the worst grade first and the oldest of a grade first. Click a condition "
        "for its runbook, a group for its details. Topic and partition are empty where a condition is wider.",
        labels, [Column(q.worst_conditions(100, *WHERE), "For", "s")],
        "Nothing is wrong. If no group is watched either, see Tidemark itself.", sort="Severity", descending=False,
        height=10)


def worst_groups(q):
    worst = f"topk(20, {q.late(*WHERE)})"

    def of(query):
        return f"({query}) and on (cluster, consumergroup) {worst}"

    columns = [
        Column(worst, "Time lag / objective", "percentunit", steps=OBJECTIVE, decimals=0),
        Column(of(q.group_lag_seconds(*WHERE)), "Time lag", "s"),
        Column(of(q.value("kafka_consumergroup_objective_seconds", *WHERE)), "Objective", "s"),
        Column(of(q.within_objective(*WHERE)), "Within objective", "percentunit", steps=WITHIN_OBJECTIVE, decimals=2),
        Column(of(q.group_lag(*WHERE)), "Lag", "short"),
        Column(of(q.value("kafka_consumergroup_members", *WHERE)), "Members", "short"),
        Column(of(q.grade(*WHERE)), "Grade", "short", texts=GRADES),
    ]
    return table(
        "The twenty groups that are furthest behind",
        "By time lag as a share of the group's own objective, so that a slow report doesn't hide a payment that is late; without those "
        "that replay. Above 100 % click the group and see whether it reads at all.",
        [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group())], columns,
        NOT_RECORDED, sort="Time lag / objective", height=10)


def history(q):
    def objective(q):
        return q.within_objective(*WHERE, window="1h")

    by_condition = f"sum by (condition) ({q.value('kafka_consumergroup_condition', *WHERE)}) > 0"
    return [
        graph("Groups by condition", "How many groups each condition is true for. What rises for many groups at once has one cause "
              "that they share: a broker, a deploy, a producer. Look there before you look at a group.",
              [(by_condition, "{{condition}}")], "short", "No condition was true", stacked=True),
        graph("Time lag / objective of the ten worst", "Those that are worst at the end of the time that is shown, without replays. Above the line "
              "the objective is missed: click a group to see since when it reads less than is written.",
              [(q.top(10, lambda q: f"({q.late(*WHERE)})"), BY_GROUP)], "percentunit", NOT_RECORDED,
              steps=OBJECTIVE, powers=True, links=series_to_group()),
        graph("Unread messages of the ten largest lags", "Messages say how much work is left, not how late it is. A line that "
              "rises steadily needs more members or a faster consumer; a saw-tooth is a consumer that works in batches.",
              [(q.top(10, lambda q: q.group_lag(*WHERE)), BY_GROUP)], "short", NOT_RECORDED, links=series_to_group()),
        graph("Within objective, the ten worst", "The share of the hour before in which a group's time lag was within its "
              "objective. When it sinks below what you promised, stop changing things and mend the group.",
              [(q.top(10, objective, "bottomk"), BY_GROUP)], "percentunit", "No time lag is known",
              steps=WITHIN_OBJECTIVE, least=True, links=series_to_group()),
    ]


def build(q):
    rows = [
        Row("What is wrong now", [*numbers(q), conditions(q)]),
        Row("Who is furthest behind", [worst_groups(q)]),
        Row("How it came to be", history(q)),
    ]
    return dashboard(OVERVIEW, "Tidemark / Overview", "What is wrong now, worst first. From here to a group, and to the runbook.",
                     [cluster_variable(), group_variable(CLUSTERS)], rows, alerts=(CLUSTERS,))
