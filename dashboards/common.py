"""What the dashboards share: their names, their variables, and their links to each other."""

from grafana import column_value, label_value, link, to_dashboard, variable

OVERVIEW, GROUP, RETENTION = "tidemark-overview", "tidemark-group", "tidemark-retention"
REBALANCES, TOPICS, ITSELF = "tidemark-rebalances", "tidemark-topics", "tidemark-itself"
RUNBOOK = "tidemark-runbook-"  # and the name of its file

# Where a recording rule's series is shown.
NOT_RECORDED = "Not known: see Tidemark itself, and whether Prometheus has loaded alerts/rules"

# Matchers for variables of which several can be chosen, and of which one is.
CLUSTERS = 'cluster=~"$cluster"'
GROUPS = 'consumergroup=~"$group"'
TOPICS_CHOSEN = 'topic=~"$topic"'
CLUSTER = 'cluster="$cluster"'
THE_GROUP = 'consumergroup="$group"'


def cluster_variable(every=True):
    return variable("cluster", "Cluster", "A Kafka cluster or log store, as it is named in Tidemark's configuration.",
                    "tidemark_source_up", "cluster", every=every)


def group_variable(*matchers, every=True):
    return variable("group", "Group", "A consumer group of these clusters.",
                    "kafka_consumergroup_objective_seconds", "consumergroup", *matchers, every=every)


def read_topic_variable(*matchers):
    return variable("topic", "Topic", "A topic that these groups have committed offsets on.",
                    "kafka_consumergroup_uncommitted_partitions", "topic", *matchers)


def topic_variable(*matchers):
    return variable("topic", "Topic", "A topic of these clusters.", "kafka_topic_partitions", "topic", *matchers)


def row_to_group():
    """For a table's column with the group."""
    url = to_dashboard(GROUP, cluster=column_value("cluster"), group=column_value("consumergroup"))
    return (link("Show this group", url),)


def row_to_topic():
    url = to_dashboard(TOPICS, cluster=column_value("cluster"), topic=column_value("topic"))
    return (link("Show this topic", url),)


def row_to_runbook():
    """For a table's column with the condition."""
    url = to_dashboard(RUNBOOK + column_value("condition"), cluster="All")
    return (link("Open the runbook", url),)


def runbook(name):
    """For a number that one runbook is about."""
    return link("Open the runbook", to_dashboard(RUNBOOK + name))


def series_to_group():
    """For a graph's lines, one a group."""
    url = to_dashboard(GROUP, cluster=label_value("cluster"), group=label_value("consumergroup"))
    return (link("Show this group", url),)
