"""All about one group."""

from common import CLUSTER, GROUP, NOT_RECORDED, THE_GROUP, TOPICS_CHOSEN, cluster_variable, group_variable, read_topic_variable
from common import row_to_runbook, runbook
from grafana import FEW_WANTED, GRADES, NONE_WANTED, OBJECTIVE, RETENTION_LEFT, SEVERITIES, WITHIN_OBJECTIVE
from grafana import Column, Label, Row, dashboard, graph, heat, stat, table

WHOLE = (CLUSTER, THE_GROUP)
WHERE = (CLUSTER, THE_GROUP, TOPICS_CHOSEN)
NO_GROUP = "Not known: see Tidemark itself"


def summed(q, operator, metric, by="topic"):
    return f"{operator} by ({by}) ({q.value(metric, *WHERE)})"


def numbers(q):
    headroom = q.value("kafka_consumergroup_retention_headroom_seconds", *WHERE)
    kept = q.value("kafka_topic_retention_seconds", CLUSTER, TOPICS_CHOSEN)
    expiry = q.value("kafka_consumergroup_offsets_expire_timestamp_seconds", *WHOLE)
    return [
        stat("Grade", "The worst of the conditions below. Follow the runbook of the gravest of them first; the others are often "
             "its consequences.", q.grade(*WHOLE), "short", NO_GROUP, texts=GRADES),
        stat("Time lag / objective", "The age of the oldest unread message as a share of the group's objective. Above 100 % what the "
             "group does comes too late.", q.lag_to_objective(*WHOLE), "percentunit", NOT_RECORDED, steps=OBJECTIVE, decimals=0),
        stat("Time lag", "How old the oldest message is that the group has not read: what it handles now was written so long ago.",
             f"max({q.value('kafka_consumergroup_lag_seconds_max', *WHERE)})", "s", NO_GROUP),
        stat("Lag", "Messages that the group has still to read.",
             f"sum({q.value('kafka_consumergroup_lag_sum', *WHERE)})", "short", NO_GROUP),
        stat("Caught up in", "Forecast: when nothing will be unread if reading and writing go on as now. If that is never, add "
             "members up to the number of partitions, or make the consumer faster.",
             f"max({q.value('kafka_consumergroup_catchup_seconds', *WHERE)})", "s", "Never at this pace, or not known yet"),
        stat("Retention left", "What is left of the topic's retention until an unread message may be deleted, where it is least. When it "
             "shrinks raise retention.ms now, and mend the group then.",
             f"min({headroom} / on (cluster, topic) group_left () {kept})", "percentunit", "Nothing unread is deleted by age",
             steps=RETENTION_LEFT, decimals=0, links=[runbook("retention_risk")]),
        stat("Members", "Live members. 0 while messages are unread: start the consumer.",
             q.value("kafka_consumergroup_members", *WHOLE), "short", NO_GROUP),
        stat("Idle members", "Members without a partition: they can only wait for another to die. Stop them, or add partitions.",
             q.value("kafka_consumergroup_idle_members", *WHOLE), "short", "Assignments are not known", steps=FEW_WANTED),
        stat("Rebalances", "In the time that is shown. A deploy makes two or three; more mean that members are thrown out, mostly "
             "because processing takes longer than max.poll.interval.ms.",
             q.growth("kafka_consumergroup_rebalances_total", *WHOLE), "short", NO_GROUP, decimals=0),
        stat("Within objective", "Share of the time shown in which the time lag was within the objective.",
             q.within_objective(*WHOLE), "percentunit", NO_GROUP, steps=WITHIN_OBJECTIVE, decimals=2),
        stat("Lost messages", "Deleted before the group read them, in the time that is shown. Restore them from their source; the "
             "group will not come back for them.",
             f"sum({q.growth('kafka_consumergroup_lost_messages_total', *WHERE)})", "short", NO_GROUP, steps=NONE_WANTED,
             decimals=0, links=[runbook("data_lost")]),
        stat("Offsets expire in", "The group is empty: when the broker forgets its first commit, auto.offset.reset decides where it "
             "goes on. Start a member, or raise offsets.retention.minutes.",
             f"{expiry} - time()", "s", "Not while the group has members"),
    ]


def conditions(q):
    labels = [
        Label("severity", "Severity", texts=SEVERITIES, width=90),
        Label("condition", "Condition", row_to_runbook()),
        Label("topic", "Topic"),
        Label("partition", "Partition", width=90),
    ]
    return table("What is wrong with it", "The conditions that are true, where, and for how long. Click one for its runbook.",
                 labels, [Column(q.worst_conditions(50, *WHOLE), "For", "s")], "Nothing is wrong with this group",
                 sort="Severity", descending=False, hidden=["cluster", "consumergroup"], height=7)


def lag(q):
    def seconds(q):
        return summed(q, "max", "kafka_consumergroup_lag_seconds_max")

    def messages(q):
        return summed(q, "sum", "kafka_consumergroup_lag_sum")

    return [
        graph("Time lag by topic", "The age of the oldest unread message, against the objective. A line at 45 degrees: nothing is "
              "read at all. A flatter one: the group reads, but less than is written.",
              [(q.top(10, seconds), "{{topic}}"), (q.value("kafka_consumergroup_objective_seconds", *WHOLE), "objective")],
              "s", NO_GROUP, limits=["objective"]),
        graph("Lag by topic", "Unread messages. Compare with the rates below: the lag grows by their difference.",
              [(q.top(10, messages), "{{topic}}")], "short", NO_GROUP),
    ]


def pace(q):
    reading = f"sum({q.read(*WHERE)})"
    committed = f"group by (cluster, topic) ({q.value('kafka_consumergroup_current_offset_sum', *WHERE)})"
    return [
        graph("Written and read", "Messages a second on the topics that the group reads, over five minutes. While it reads less than is written it will "
              "never catch up. Below zero: its offsets were moved back, to replay.",
              [(f"sum({q.written(CLUSTER, TOPICS_CHOSEN)} and {committed})", "written"), (reading, "read")], "mps", NOT_RECORDED,
              low=None,
              colors={"written": "blue", "read": "green"}),
        graph("Time left", "Until an unread message may be deleted, until deletion overtakes the reader at this pace, and until the "
              "group has caught up. It must catch up before the headroom is used.",
              [(f"min({q.value('kafka_consumergroup_retention_headroom_seconds', *WHERE)})", "headroom"),
               (f"min({q.value('kafka_consumergroup_retention_overtake_seconds', *WHERE)})", "overtaken in"),
               (f"max({q.value('kafka_consumergroup_catchup_seconds', *WHERE)})", "caught up in")],
              "s", "Nothing unread, or nothing is deleted by age",
              colors={"headroom": "green", "overtaken in": "red", "caught up in": "blue"}),
    ]


def members(q):
    return [
        graph("Members", "Members that come and go without a deploy are crashing or being thrown out: read their logs at those "
              "moments.",
              [(q.value("kafka_consumergroup_members", *WHOLE), "members"),
               (q.value("kafka_consumergroup_idle_members", *WHOLE), "idle"),
               (q.value("kafka_consumergroup_static_members", *WHOLE), "static")], "short", "Members are not known"),
        graph("Rebalances", "Each stops consumption. If they keep coming raise max.poll.interval.ms or lower max.poll.records, until "
              "a batch is done in time; static members (group.instance.id) survive a restart without one.",
              [(q.growth_by_step("kafka_consumergroup_rebalances_total", *WHOLE), "rebalances")],
              "short", "Members are not known", bars=True),
    ]


def partitions(q):
    objective = f"scalar(max({q.value('kafka_consumergroup_objective_seconds', *WHOLE)}))"

    def by_partition(query):
        return f"max by (topic, partition) ({query})"

    def late(q):
        return by_partition(q.value("kafka_consumergroup_lag_seconds", *WHERE))

    worst = f"topk(50, {by_partition(q.value('kafka_consumergroup_lag', *WHERE))})"

    def of(metric, *matchers):
        return f"{by_partition(q.value(metric, *matchers))} and {worst}"

    columns = [
        Column(worst, "Lag", "short"),
        Column(of("kafka_consumergroup_lag_seconds", *WHERE), "Time lag", "s"),
        Column(of("kafka_consumergroup_current_offset", *WHERE), "Committed offset", "locale"),
        Column(of("kafka_topic_partition_current_offset", CLUSTER, TOPICS_CHOSEN), "End offset", "locale"),
        Column(of("kafka_topic_partition_oldest_offset", CLUSTER, TOPICS_CHOSEN), "Start offset", "locale"),
    ]
    return [
        heat("Time lag of each partition / objective", "The thirty partitions that are worst at the end. One red row among green ones: "
             "that partition is stuck, or has a hot key. All red: the group is too slow, or down.",
             f"({q.top(30, late)}) / {objective}", "{{topic}}/{{partition}}", "percentunit", NO_GROUP, steps=OBJECTIVE),
        table("Partitions with the largest lag", "The fifty worst. A committed offset that doesn't move while the others' do is the "
              "message that makes the consumer fail: read it with a console consumer, and skip or repair it.",
              [Label("topic", "Topic"), Label("partition", "Partition")], columns, NO_GROUP, sort="Lag"),
    ]


def build(q):
    rows = [
        Row("Now", [*numbers(q), conditions(q)]),
        Row("How far behind", lag(q)),
        Row("How fast, and how long it has", pace(q)),
        Row("Members", members(q)),
        Row("Partitions", partitions(q)),
    ]
    variables = [cluster_variable(every=False), group_variable(CLUSTER, every=False), read_topic_variable(*WHOLE)]
    return dashboard(GROUP, "Tidemark / Group", "One consumer group: how far behind, how fast, and where.", variables, rows,
                     alerts=WHOLE)
