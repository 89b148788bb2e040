"""What will be lost, and what was: every place where a message can be lost, and what guards it."""

from common import CLUSTERS, GROUPS, RETENTION, TOPICS_CHOSEN, cluster_variable, group_variable, read_topic_variable
from common import row_to_group, runbook, series_to_group
from grafana import FEW_WANTED, NONE_WANTED, RETENTION_LEFT, Column, Label, Row, dashboard, graph, stat, table, text

WHERE = (CLUSTERS, GROUPS, TOPICS_CHOSEN)
LOST = "kafka_consumergroup_lost_messages_total"
SKIPPED = "kafka_consumergroup_skipped_messages_total"
REWOUND = "kafka_consumergroup_rewound_messages_total"
HEADROOM = "kafka_consumergroup_retention_headroom_seconds"
KEPT = "kafka_topic_retention_seconds"
BY_TOPIC = "{{cluster}} {{consumergroup}} {{topic}}"

LEDGER = """\
| a message can be lost | because | its safeguard | what shows it |
|---|---|---|---|
| by **retention** | it was deleted before the group read it | retention.ms of at least the longest time a group may be down | headroom, `retention_risk`, then `data_lost` |
| by **compaction** | a newer message with its key came before the group read it | one event type a key, or min.compaction.lag.ms | exposed to compaction, `compaction_risk` |
| by **expiry of offsets** | the group was empty for too long, and auto.offset.reset is `latest` | offsets.retention.minutes; a member that stays | offsets that expire, `offsets_expiring` |
| by a **reset forward** | the committed offset was moved over it | reset to a time, and look before you do | skipped, `skipped` |
| because it was **never committed** | auto.offset.reset decides where a new partition is begun | auto.offset.reset `earliest` for groups that must not miss any | partitions never committed |
"""


def labels():
    return [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group()), Label("topic", "Topic")]


def numbers(q):
    def true_now(condition):
        return q.groups_that_are(condition, CLUSTERS, GROUPS)

    none = "No group is known"
    return [
        stat("Lost", "Messages that were deleted before a group read them, in the time that is shown. The ledger says whose; restore "
             "them from their source.", f"sum({q.growth(LOST, *WHERE)})", "short", none, steps=NONE_WANTED, decimals=0),
        stat("Skipped", "Messages that a committed offset jumped over, in the time that is shown. If nobody meant it, move the offset "
             "back: they are still there.", f"sum({q.growth(SKIPPED, *WHERE)})", "short", none, steps=FEW_WANTED, decimals=0),
        stat("Read again", "Messages that a committed offset was moved back over. Harmless where consumers are idempotent; make sure "
             "that they are.", f"sum({q.growth(REWOUND, *WHERE)})", "short", none, decimals=0),
        stat("Groups at risk", "Groups whose unread messages will be deleted soon if nothing changes. Raise retention.ms of the topic "
             "first: it takes effect at once and buys the time to mend the reader.",
             true_now("retention_risk"), "short", none, steps=NONE_WANTED, links=[runbook("retention_risk")]),
        stat("Topics kept too short", "Topics whose retention is shorter than a repair may take (the rule recovery_window): a group that stops "
             "for so long will lose messages. Raise their retention.ms while nothing has happened.",
             f"sum({q.value('kafka_topic_retention_shortfall_seconds', CLUSTERS, TOPICS_CHOSEN)} > bool 0)", "short",
             "Nothing is deleted by age", steps=FEW_WANTED, links=[runbook("retention_too_short")]),
        stat("Groups whose offsets expire", "Empty groups whose place in the log the broker will forget. Start a member, or decide "
             "that the group is no longer needed and delete it.", true_now("offsets_expiring"), "short", none, steps=FEW_WANTED,
             links=[runbook("offsets_expiring")]),
    ]


def share_left(q):
    """Of the time that the topic keeps a message: what is left of it to the reader."""
    return f"{q.value(HEADROOM, *WHERE)} / on (cluster, topic) group_left () {q.value(KEPT, CLUSTERS, TOPICS_CHOSEN)}"


def before(q):
    headroom, kept = q.value(HEADROOM, *WHERE), q.value(KEPT, CLUSTERS, TOPICS_CHOSEN)
    least = f"bottomk(20, {share_left(q)})"

    def of(metric):
        return f"{q.value(metric, *WHERE)} and {least}"

    columns = [
        Column(least, "Share of retention left", "percentunit", steps=RETENTION_LEFT, decimals=0),
        Column(f"{headroom} and {least}", "Headroom", "s"),
        Column(f"0 * {least} + on (cluster, topic) group_left () {kept}", "Retention", "s"),
        Column(of("kafka_consumergroup_retention_overtake_seconds"), "Overtaken in", "s"),
        Column(of("kafka_consumergroup_catchup_seconds"), "Caught up in", "s"),
        Column(of("kafka_consumergroup_lag_sum"), "Lag", "short"),
    ]
    return [
        table("What is left of the retention until an unread message may be deleted", "The twenty that have least of it. A group that is overtaken "
              "before it has caught up will lose messages: raise retention.ms of its topic now.",
              labels(), columns, "Nothing that is unread is deleted by age", sort="Share of retention left", descending=False),
        graph("Share of retention left, the ten that have least", "A line that falls belongs to a group that reads too slowly, or nothing; "
              "where it meets zero, messages are gone. Raise retention.ms before.",
              [(q.top(10, share_left, "bottomk"), BY_TOPIC)], "percentunit", "Nothing that is unread is deleted by age",
              steps=RETENTION_LEFT, least=True, links=series_to_group()),
        graph("Overtaken in, the ten soonest", "Forecast: when deletion catches up with a reader that reads, but too slowly. Raise "
              "retention.ms, or add members, before it comes to nothing.",
              [(q.top(10, lambda q: q.value("kafka_consumergroup_retention_overtake_seconds", *WHERE), "bottomk"), BY_TOPIC)],
              "s", "No reader is being overtaken", least=True, links=series_to_group()),
    ]


def ledger(q):
    total = " + ".join(q.growth(metric, *WHERE) for metric in (LOST, SKIPPED, REWOUND))
    rows = f"topk(50, {total}) > 0"

    def of(query):
        return f"{query} and ({rows})"

    columns = [
        Column(of(q.growth(LOST, *WHERE)), "Lost", "locale", steps=NONE_WANTED),
        Column(of(q.growth(SKIPPED, *WHERE)), "Skipped", "locale", steps=FEW_WANTED),
        Column(of(q.growth(REWOUND, *WHERE)), "Read again", "locale"),
        Column(of(q.value(LOST, *WHERE)), "Lost, on record", "locale"),
        Column(of(q.value(SKIPPED, *WHERE)), "Skipped, on record", "locale"),
    ]
    return [
        table("The ledger", "Messages lost, skipped and read again in the time that is shown, and on record since the group is known. "
              "Reconcile it with the system behind the group: these messages it has not seen, or has seen twice.",
              labels(), columns, "Nothing was lost, skipped or read again", sort="Lost"),
        graph("Lost, skipped and read again", "Messages in each span of time. When it happened: compare with deploys, resets and "
              "changes of a topic's retention.",
              [(f"sum({q.growth_by_step(LOST, *WHERE)})", "lost"),
               (f"sum({q.growth_by_step(SKIPPED, *WHERE)})", "skipped"),
               (f"sum({q.growth_by_step(REWOUND, *WHERE)})", "read again")],
              "short", "No group is known", bars=True, width=24, colors={"lost": "red", "skipped": "orange", "read again": "blue"}),
    ]


def other_ways(q):
    exposed = q.value("kafka_consumergroup_compaction_exposed_messages", *WHERE)
    uncommitted = q.value("kafka_consumergroup_uncommitted_partitions", *WHERE)
    expiry = q.value("kafka_consumergroup_offsets_expire_timestamp_seconds", CLUSTERS, GROUPS)
    group = labels()[:2]
    return [
        table("Exposed to compaction", "Unread messages that the cleaner may already remove, where their key has a newer one. If each of "
              "them matters the topic must not be compacted, or needs a longer min.compaction.lag.ms.",
              labels(), [Column(f"topk(20, {exposed} > 0)", "Messages", "locale")], "Nothing unread is exposed to compaction",
              sort="Messages", width=8),
        table("Offsets that expire", "Empty groups, the first to be forgotten on top. Start a member, or raise "
              "offsets.retention.minutes of the brokers.",
              group, [Column(f"bottomk(20, {expiry} - time())", "Expire in", "s")], "No group's offsets will expire",
              sort="Expire in", descending=False, width=8),
        table("Partitions never committed", "auto.offset.reset decides where the group begins on them: with `latest`, what was written "
              "before is skipped unseen.",
              labels(), [Column(f"topk(20, {uncommitted} > 0)", "Partitions", "locale")], "Every group has committed on every partition",
              sort="Partitions", width=8),
    ]


def build(q):
    rows = [
        Row("Now", numbers(q)),
        Row("Before: what will be lost if nothing changes", before(q)),
        Row("After: what was lost", ledger(q)),
        Row("The other ways to lose a message", [
            *other_ways(q),
            text("Where a message can be lost", "Go through it for each group that must not lose any: is each safeguard in place?",
                 LEDGER, height=8)]),
    ]
    variables = [cluster_variable(), group_variable(CLUSTERS), read_topic_variable(CLUSTERS, GROUPS)]
    return dashboard(RETENTION, "Tidemark / Retention and loss ledger", "What will be lost if nothing changes, and what was.",
                     variables, rows, alerts=(CLUSTERS,), since="now-24h")
