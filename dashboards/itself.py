"""Whether what the other dashboards show can be believed."""

from common import CLUSTERS, ITSELF, cluster_variable, runbook
from grafana import FEW_WANTED, NONE_WANTED, YES_NO, Column, Label, Row, dashboard, graph, stat, table

# Of its poll interval, that a poll takes.
BUSY = [("green", None), ("yellow", 0.5), ("red", 1)]
# The age of the last success, in poll intervals.
STALE = [("green", None), ("yellow", 2), ("red", 5)]
CONFIGURATION = {"1": ("current", "green"), "0": ("old", "red")}
NO_SCRAPE = "Prometheus doesn't scrape Tidemark"


def ours(query):
    """Only of the processes that are Tidemark: others have metrics of these names, too."""
    return f"{query} and on (job, instance) tidemark_build_info"


def poll_share(q):
    return (
        f"sum by (cluster) ({q.value('tidemark_poll_duration_seconds', CLUSTERS)}) / "
        f"{q.value('tidemark_poll_interval_seconds', CLUSTERS)}"
    )


def age(q):
    return f"time() - {q.value('tidemark_source_last_success_timestamp_seconds', CLUSTERS)}"


def numbers(q):
    up = q.value("tidemark_source_up", CLUSTERS)
    return [
        stat("Sources that can't be read", "Their groups' numbers are as old as the last success. The log says why; `tidemark check` names "
             "the permission or address that is wrong.", f"sum({up} == bool 0)", "short", NO_SCRAPE, steps=NONE_WANTED,
             links=[runbook("source_down")]),
        stat("Oldest success", "How long ago the source that is worst off was last polled with success. Beyond a few poll intervals "
             "its groups aren't watched.", f"max({age(q)})", "s", "No source was read yet"),
        stat("Slowest poll / interval", "At 100 % polls take longer than their interval, and each is late. Poll less often, or filter "
             "topics and groups.", f"max({poll_share(q)})", "percentunit", NO_SCRAPE, steps=BUSY, decimals=0, links=[runbook("polls_slow")]),
        stat("Failures of polls", "In the time that is shown. Each costs only what depends on it; the stage is below, the reason in the log.",
             f"sum({q.growth('tidemark_poll_errors_total', CLUSTERS)})", "short", NO_SCRAPE, steps=FEW_WANTED, decimals=0),
        stat("Configuration", "`old` where a reload failed: the configuration before it is still in force. The log has the reason; correct the "
             "file and reload.", f"min({ours('tidemark_config_last_reload_successful')})", "short", NO_SCRAPE, texts=CONFIGURATION,
             links=[runbook("reload_failed")]),
        stat("Series left off", "Series that max_series left off the page, those of the least grave groups first. Raise max_series, choose a "
             "coarser granularity, or filter topics and groups.", "sum(tidemark_series_dropped)", "short", NO_SCRAPE,
             steps=NONE_WANTED, links=[runbook("series_dropped")]),
    ]


def sources(q):
    columns = [
        Column(q.value("tidemark_source_up", CLUSTERS), "Up", "short", texts=YES_NO),
        Column(age(q), "Last success", "s"),
        Column(f"({age(q)}) / {q.value('tidemark_poll_interval_seconds', CLUSTERS)}", "In intervals", "none", steps=STALE, decimals=1),
        Column(q.value("tidemark_poll_interval_seconds", CLUSTERS), "Poll interval", "s"),
        Column(poll_share(q), "Poll / interval", "percentunit", steps=BUSY, decimals=1),
        Column(q.value("tidemark_snapshot_skew_seconds", CLUSTERS), "Skew", "s"),
        Column(f"sum by (cluster) ({q.growth('tidemark_poll_errors_total', CLUSTERS)})", "Failures", "locale", steps=FEW_WANTED),
    ]
    return table("Sources", "One that isn't up: restore the connection. One whose poll takes most of its interval: poll less often. By its skew "
                 "at most, lag is overstated by what was written in that time.",
                 [Label("cluster", "Cluster")], columns, NO_SCRAPE, sort="Last success", height=7)


def polls(q):
    kinds = f"sum by (cluster, kind) ({q.growth_by_step('tidemark_anomalies_total', CLUSTERS)}) > 0"
    failures = f"sum by (cluster, stage) ({q.growth_by_step('tidemark_poll_errors_total', CLUSTERS)}) > 0"
    return [
        graph("Duration of polls by stage", "Of the slowest source each. The stage that grows says what the cluster is slow to tell; "
              "when the sum nears the interval poll less often.",
              [(f"max by (stage) ({q.value('tidemark_poll_duration_seconds', CLUSTERS)})", "{{stage}}")], "s", NO_SCRAPE, stacked=True),
        graph("Failures of polls", "By stage. One that keeps failing has its reason in the log, most often a permission that is missing.",
              [(failures, "{{cluster}} {{stage}}")], "short", "No poll failed", bars=True),
        graph("Anomalies", "What should not be: a commit beyond the end (the topic was made again or truncated), one on a topic that "
              "doesn't exist, names that can't be told apart. Ask who changed the topic.",
              [(kinds, "{{cluster}} {{kind}}")], "short", "Nothing odd was seen", bars=True),
        graph("Age of the last success", "In a line that rises Tidemark doesn't reach the source; after five intervals, at least five "
              "minutes, its series go.",
              [(q.top(10, age), "{{cluster}}")], "s", "No source was read yet"),
    ]


def process():
    return [
        graph("CPU", "Of each Tidemark. It works at each poll and each scrape; steps follow the number of positions.",
              [(ours("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}")], "percentunit", NO_SCRAPE, width=8),
        graph("Memory", "Resident. It grows with topics, groups and positions, not with time: if it does, report it.",
              [(ours("process_resident_memory_bytes"), "{{instance}}")], "bytes", NO_SCRAPE, width=8),
        graph("File descriptors", "In use, as a share of the limit. Near 100 % scrapes are refused: raise the limit (LimitNOFILE).",
              [(ours("process_open_fds / process_max_fds"), "{{instance}}")], "percentunit", NO_SCRAPE, width=8, steps=BUSY),
        graph("Duration of scrapes", "As Prometheus sees it. Above its scrape timeout (10 s) there is no data at all: filter groups, or "
              "raise it.",
              [(ours("scrape_duration_seconds"), "{{instance}}")], "s", NO_SCRAPE, width=8, steps=[("green", None), ("red", 10)]),
        graph("Series", "On the page of each. A jump is a pattern of topics or groups that matches more than it should.",
              [("tidemark_series", "{{instance}}"), ("tidemark_series_dropped > 0", "{{instance}} left off")], "short",
              NO_SCRAPE, width=8),
        table("Versions", "What runs. Two versions are fine while one replaces the other.",
              [Label("instance", "Instance"), Label("version", "Version"), Label("librdkafka_version", "librdkafka")],
              [Column("time() - process_start_time_seconds * on (job, instance) group_left (version, librdkafka_version) "
                      "tidemark_build_info", "Running for", "s")],
              NO_SCRAPE, sort="Running for", hidden=["job"], width=8, height=8),
    ]


def build(q):
    rows = [
        Row("Now", [*numbers(q), sources(q)]),
        Row("Polls", polls(q)),
        Row("The process", process()),
    ]
    return dashboard(ITSELF, "Tidemark / Tidemark itself", "Whether what the other dashboards show can be believed.",
                     [cluster_variable()], rows, alerts=(CLUSTERS,))
