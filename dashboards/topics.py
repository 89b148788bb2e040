"""Whether topics are cut well: skew, keys, parallelism, and the state of their replicas."""

from common import CLUSTERS, GROUPS, NOT_RECORDED, TOPICS, TOPICS_CHOSEN, cluster_variable, group_variable, row_to_group, row_to_topic
from common import series_to_group, topic_variable
from grafana import FEW_WANTED, NONE_WANTED, Column, Label, Row, dashboard, graph, heat, stat, table

WHERE = (CLUSTERS, TOPICS_CHOSEN)
READ = (CLUSTERS, TOPICS_CHOSEN, GROUPS)
BY_TOPIC = "{{cluster}} {{topic}}"
# Of what the mean partition has, in the fullest.
SKEW = [("green", None), ("yellow", 2), ("red", 4)]
UNKEYED = [("green", None), ("yellow", 0.01), ("orange", 0.5)]
NO_TOPIC = "No topic is known: see Tidemark itself"
NO_REPLICAS = "Not known: a log store has no replicas"


def write_skew(q):
    rate = q.slope("kafka_topic_partition_current_offset", *WHERE)
    return f"max by (cluster, topic) ({rate}) / (avg by (cluster, topic) ({rate}) > 0)"


def read_skew(q):
    """The largest lag of a partition over the mean: the number of partitions, when one has it all."""
    largest, total = q.value("kafka_consumergroup_lag_max", *READ), q.value("kafka_consumergroup_lag_sum", *READ)
    partitions = q.value("kafka_topic_partitions", *WHERE)
    return f"{largest} / ({total} > 0) * on (cluster, topic) group_left () {partitions}"


def numbers(q):
    unkeyed = q.value("kafka_topic_unkeyed_ratio", *WHERE)
    several = q.value("kafka_topic_partitions", *WHERE)
    leaders = q.value("kafka_topic_partition_leader", *WHERE)
    replicas = q.value("kafka_topic_partition_replicas", *WHERE)
    return [
        stat("Topics", "Topics that Tidemark observes.", f"count({q.value('kafka_topic_partitions', *WHERE)})", "short", NO_TOPIC),
        stat("Partitions", "Partitions of these topics.", f"sum({q.value('kafka_topic_partitions', *WHERE)})", "short", NO_TOPIC),
        stat("Topics without keys", "Topics with several partitions of whose sampled messages more than half have no key: they "
             "keep no order. Give related messages the same key if order matters.",
             f"sum({unkeyed} > bool 0.5 and {several} > 1)", "short", "Keys are not known", steps=FEW_WANTED),
        stat("Idle members", "Members without a partition, of these groups. Stop them, or add partitions (but keys then move to others).",
             f"sum({q.value('kafka_consumergroup_idle_members', CLUSTERS, GROUPS)})", "short", "Assignments are not known",
             steps=FEW_WANTED),
        stat("Under-replicated partitions", "Fewer replicas are in sync than there should be: a broker is down or can't follow. The next "
             "failure may lose acknowledged messages.",
             f"sum({q.value('kafka_topic_partition_under_replicated_partition', *WHERE)})", "short", NO_REPLICAS, steps=NONE_WANTED),
        stat("Partitions without a leader", "Nobody can read or write them. Bring their brokers back.",
             f"count({replicas}) - count({leaders})", "short", NO_REPLICAS, steps=NONE_WANTED),
    ]


def topics(q):
    kept = " - ".join(
        f"sum by (cluster, topic) ({q.value(metric, *WHERE)})"
        for metric in ("kafka_topic_partition_current_offset", "kafka_topic_partition_oldest_offset")
    )
    busiest = f"topk(50, {q.written(*WHERE)})"

    def of(query):
        return f"{query} and {busiest}"

    readers = f"count by (cluster, topic) ({q.value('kafka_consumergroup_uncommitted_partitions', *READ)})"
    columns = [
        Column(busiest, "Written", "mps", decimals=1),
        Column(of(q.value("kafka_topic_partitions", *WHERE)), "Partitions", "short"),
        Column(of(readers), "Groups", "short"),
        Column(of(write_skew(q)), "Fullest partition / mean", "none", steps=SKEW, decimals=2),
        Column(of(q.value("kafka_topic_unkeyed_ratio", *WHERE)), "Without a key", "percentunit", steps=UNKEYED, decimals=0),
        Column(of(kept), "Messages kept", "short"),
        Column(of(q.value("kafka_topic_retention_seconds", *WHERE)), "Retention", "s"),
        Column(of(q.value("kafka_topic_retention_shortfall_seconds", *WHERE)), "Too short by", "s", steps=FEW_WANTED),
        Column(of(q.value("kafka_topic_min_insync_replicas", *WHERE)), "min.insync.replicas", "short"),
    ]
    return table("The fifty topics that are written to most", "A topic whose fullest partition has several times the mean has a hot key: "
                 "split it. Retention must cover the longest time that a reader may be down.",
                 [Label("cluster", "Cluster"), Label("topic", "Topic", row_to_topic())], columns, NOT_RECORDED, sort="Written")


def skew(q):
    def rate(q):
        return q.slope("kafka_topic_partition_current_offset", *WHERE)

    labels = [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group()), Label("topic", "Topic", row_to_topic())]
    most = f"topk(20, {read_skew(q)})"
    columns = [
        Column(most, "Largest lag / mean", "none", steps=SKEW, decimals=1),
        Column(f"{q.value('kafka_consumergroup_lag_max', *READ)} and {most}", "Largest lag", "short"),
        Column(f"{q.value('kafka_consumergroup_lag_sum', *READ)} and {most}", "Lag", "short"),
    ]
    mean = f"avg by (cluster, topic) ({q.slope('kafka_topic_partition_current_offset', *WHERE)})"
    return [
        heat("Writing to each partition / the topic's mean", "The thirty partitions that are written to most at the end. A red row among "
             "green ones is a hot key: find it in the messages, and split it or give it a topic of its own.",
             f"({q.top(30, rate)}) / on (cluster, topic) group_left () ({mean} > 0)", "{{topic}}/{{partition}}", "none",
             NO_TOPIC, steps=SKEW, height=9),
        table("Groups with one partition behind", "Where one partition has most of the lag: a stuck reader if it doesn't move, a hot key if "
              "it does. More members don't help either.", labels, columns, "Nothing is unread", sort="Largest lag / mean", width=12),
        graph("Fullest partition / mean, the ten worst", "How unevenly topics are written. More partitions don't help while one key has most "
              "of the messages.", [(q.top(10, write_skew), BY_TOPIC)], "none", "Nothing is written", steps=SKEW, height=9),
    ]


def keys(q):
    def unkeyed(q):
        return q.value("kafka_topic_unkeyed_ratio", *WHERE)

    return [
        graph("Messages without a key, the ten topics with most", "Sampled. Without a key messages are spread over partitions, and keep no "
              "order: a delete may be handled before its update. Use the entity's id as the key.",
              [(q.top(10, unkeyed), BY_TOPIC)], "percentunit", "Keys are not known: Tidemark needs Read on the topics"),
        graph("Messages written, the ten busiest topics", "Messages a second, over five minutes. A step up is a new producer or a retry loop; "
              "its readers need the room.", [(q.top(10, lambda q: q.written(*WHERE)), BY_TOPIC)], "mps", NOT_RECORDED),
    ]


def parallelism(q):
    members = q.value("kafka_consumergroup_members", CLUSTERS, GROUPS)
    committed = q.value("kafka_consumergroup_uncommitted_partitions", *READ)
    partitions = (
        f"sum by (cluster, consumergroup) (0 * {committed} + on (cluster, topic) group_left () "
        f"{q.value('kafka_topic_partitions', *WHERE)})"
    )
    share = f"{members} / {partitions}"
    most = f"topk(20, {share})"
    columns = [
        Column(most, "Members / partitions", "percentunit", steps=[("green", None), ("yellow", 0.99), ("orange", 1.01)], decimals=0),
        Column(f"{members} and {most}", "Members", "short"),
        Column(f"{q.value('kafka_consumergroup_idle_members', CLUSTERS, GROUPS)} and {most}", "Idle members", "short",
               steps=FEW_WANTED),
        Column(f"{partitions} and {most}", "Partitions", "short"),
    ]
    labels = [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group())]
    return [
        table("Members and partitions", "The twenty groups with most members for their partitions. At 100 % a group can't be made faster by "
              "adding members; beyond it they are idle. Add partitions before the group needs them.",
              labels, columns, "Members are not known", sort="Members / partitions", width=12),
        graph("Idle members, the ten groups with most", "Members that have no partition to read. Stop them, or add partitions.",
              [(q.top(10, lambda q: q.value("kafka_consumergroup_idle_members", CLUSTERS, GROUPS)), "{{cluster}} {{consumergroup}}")],
              "short", "Assignments are not known", links=series_to_group(), height=9),
    ]


def replicas(q):
    def summed(metric):
        return f"sum by (cluster) ({q.value(metric, *WHERE)})"

    preferred = q.value("kafka_topic_partition_leader_is_preferred", *WHERE)
    age = "kafka_topic_partition_open_transaction_age_seconds"
    oldest = f"topk(20, {q.value(age, *WHERE)})"
    gap = (
        f"{q.value('kafka_topic_partition_current_offset', *WHERE)} - "
        f"{q.value('kafka_topic_partition_last_stable_offset', *WHERE)}"
    )
    return [
        graph("Under-replicated, and not led by the preferred replica", "Partitions. The first: a broker is down or slow. The second, after a "
              "broker's restart: run a preferred leader election, or one broker carries the others' load.",
              [(summed("kafka_topic_partition_under_replicated_partition"), "{{cluster}} under-replicated"),
               (f"sum by (cluster) ({preferred} == bool 0)", "{{cluster}} not preferred")], "short", NO_REPLICAS),
        table("The oldest open transactions", "A read_committed consumer can't read past them. Older than transaction.timeout.ms: find it with "
              "kafka-transactions.sh find-hanging, and abort it.",
              [Label("cluster", "Cluster"), Label("topic", "Topic", row_to_topic()), Label("partition", "Partition")],
              [Column(oldest, "Open for", "s"), Column(f"({gap}) and {oldest}", "Messages behind it", "locale")],
              "No transaction is open", sort="Open for", width=12, height=8),
    ]


def build(q):
    rows = [
        Row("Now", [*numbers(q), topics(q)]),
        Row("Skew", skew(q)),
        Row("Keys and load", keys(q)),
        Row("Parallelism", parallelism(q)),
        Row("Replicas and transactions", replicas(q)),
    ]
    variables = [cluster_variable(), group_variable(CLUSTERS), topic_variable(CLUSTERS)]
    return dashboard(TOPICS, "Tidemark / Topics and partitions", "Skew, keys and parallelism: whether topics are cut well.",
                     variables, rows, alerts=(CLUSTERS,))
