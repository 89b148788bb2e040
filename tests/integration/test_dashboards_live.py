"""The dashboards on a real Prometheus: each expression returns what its panel wants to show."""

import json
import random
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer

import crowd
import grafana_dashboard
import processes
from conftest import kafka_jars
from daemon import PROGRAM, Daemon, run
from kafka_broker import Cluster
from kafka_traffic import QUIET, commit, produce
from prometheus_server import Prometheus

SPAN, STEP = 60, 5  # seconds that the dashboards show, and between two points of a graph
ROOT = Path(__file__).resolve().parent.parent.parent
ANY = ".+"
FOR_LONG = {"transaction.timeout.ms": 900000}
ENOUGH_TIME = 300  # for the first minute of the demo, on a busy machine

OVERTAKEN = "no group reads so slowly that deletion catches up with it"
CAUGHT_UP = "whether a group that is not near a loss is catching up just now is a matter of chance"
# What may stay empty here, and why: (dashboard, panel and query).
EMPTY = {
    ("Tidemark / Group", "Time left (timeseries) B"): OVERTAKEN,
    ("Tidemark / Retention and loss ledger", "What is left of the retention until an unread message may be deleted (table) D"): OVERTAKEN,
    ("Tidemark / Retention and loss ledger", "What is left of the retention until an unread message may be deleted (table) E"): CAUGHT_UP,
    ("Tidemark / Retention and loss ledger", "Overtaken in, the ten soonest (timeseries) A"): OVERTAKEN,
    ("Tidemark / Retention and loss ledger", "Exposed to compaction (table) A"): "no group is late on a topic that is compacted",
    ("Tidemark / Tidemark itself", "Series (timeseries) B"): "no series is left off",
    ("Tidemark / Tidemark itself", "Failures of polls (timeseries) A"): "no poll fails",
    ("Tidemark / Tidemark itself", "Anomalies (timeseries) A"): "no topic was truncated or made again",
}

# The runbooks differ only in the condition, and the demo takes minutes to tell all its stories: one that has begun will do.
RUNBOOKS = {dashboard["title"] for dashboard in grafana_dashboard.dashboards() if "tidemark-runbook" in dashboard["tags"]}
BEGUN = "Tidemark / Runbook: The group has stopped"

RULES = sorted((ROOT / "alerts/rules").glob("*.yml"))

DASHBOARDS = grafana_dashboard.dashboards()
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Its address."""
    port = processes.free_port()
    process = processes.start(
        [PROGRAM, "demo", "--listen", f"127.0.0.1:{port}"],
        env={**processes.os.environ, "TMPDIR": str(tmp_path_factory.mktemp("demo"))},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    yield f"127.0.0.1:{port}"
    process.terminate()
    assert process.wait(60) in (0, 143, -15)


@pytest.fixture(scope="module")
def broker():
    """What the demo's log store doesn't have: replicas, a transaction that is open, a partition never committed."""
    with Cluster(kafka_jars()) as cluster:
        cluster.create_topic("orders", 2)
        produce(cluster, "orders", {0: 10, 1: 10})
        commit(cluster, "billing", "orders", {0: 4})
        writer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": "open", **FOR_LONG, **QUIET})
        writer.init_transactions(120)
        writer.begin_transaction()
        writer.produce("orders", b"x", partition=0)
        assert writer.flush(120) == 0
        with Daemon("--kafka", cluster.bootstrap) as daemon:
            yield f"127.0.0.1:{daemon.port}"


@pytest.fixture(scope="module")
def prometheus(demo, broker):
    """The demo is scraped by two jobs, as if two Tidemarks watched it: whatever is shown, it is shown once."""
    with Prometheus(rules=RULES, tidemark=demo, twin=demo, broker=broker) as server:
        yield server


def groups(prometheus):
    found = prometheus.query("kafka_consumergroup_objective_seconds")
    return sorted({(labels["cluster"], labels["consumergroup"]) for labels, _ in found})


def variables(dashboard, cluster, group):
    """Several: all of them, as the dashboards are opened. One: this."""
    several = {variable["name"] for variable in grafana_dashboard.variables(dashboard) if variable.get("multi")}
    chosen = {"cluster": cluster, "group": group}
    time = {"__interval": f"{STEP}s", "__rate_interval": "10s", "__range": f"{SPAN}s", "__range_s": SPAN}
    return {**time, **chosen, **{name: ANY for name in several}}


def answers(prometheus, query, cluster, group):
    expression = grafana_dashboard.interpolate(query.expression, variables(query.dashboard, cluster, group))
    now = time.time()
    return prometheus.at(expression, now) if query.instant else prometheus.over_time(expression, SPAN, STEP, now)


@pytest.fixture(scope="module")
def answered(prometheus):
    """{(dashboard's title, query's name): the union of its answers}, when all that can have data have some."""
    found = {}
    pending = {(query.dashboard["title"], query.name): query for dashboard in DASHBOARDS
               for query in grafana_dashboard.queries(dashboard)}

    def all_answered():
        for query in list(pending.values()):
            several = any(variable["name"] == "cluster" and variable["multi"] for variable in grafana_dashboard.variables(query.dashboard))
            for cluster, group in groups(prometheus)[: 1 if several else None]:
                series = answers(prometheus, query, cluster, group)
                if series:
                    found[query.dashboard["title"], query.name] = series
                    del pending[query.dashboard["title"], query.name]
                    break
        missing = [name for name in pending if name not in EMPTY and name[0] not in RUNBOOKS - {BEGUN}]
        assert not missing, f"no data: {missing}"
        return True

    processes.wait_until(all_answered, ENOUGH_TIME, "data for every expression", pause=2)
    return found


def test_every_expression_returns_data(answered):
    assert len(answered) > 100


def labels(series):
    return set().union(*(one["metric"] for one in series))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
def test_legends_and_columns_name_labels_that_are_there(answered, dashboard):
    for panel in grafana_dashboard.panels(dashboard):
        for query in grafana_dashboard.panel_queries(dashboard, panel):
            series = answered.get((dashboard["title"], query.name))
            if not series:
                continue
            assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels(series), query
            if panel["type"] == "table":
                columns = panel["transformations"][1]["options"]
                shown = {name for name in columns["renameByName"] if not name.startswith("Value")}
                hidden = {name for name in columns["excludeByName"] if name != "Time"}
                # Topic and partition are empty where a condition is wider.
                assert labels(series) - {"__name__"} <= shown | hidden, query
                assert shown | hidden <= labels(series) | {"topic", "partition"}, query


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
def test_a_number_is_one_number(prometheus, answered, dashboard):
    """A panel that shows one value would show one of several at random."""
    for panel in grafana_dashboard.panels(dashboard):
        if panel["type"] == "stat":
            for query in grafana_dashboard.panel_queries(dashboard, panel):
                assert len(answered[dashboard["title"], query.name]) == 1, query


ONCE = {  # what a panel counts: (dashboard, panel)
    ("Tidemark / Overview", "Groups watched"): "count by (cluster, consumergroup) (kafka_consumergroup_objective_seconds)",
    ("Tidemark / Topics and partitions", "Topics"): "count by (cluster, topic) (kafka_topic_partitions)",
    ("Tidemark / Topics and partitions", "Partitions"): "count by (cluster, topic, partition) (kafka_topic_partition_current_offset)",
    ("Tidemark / Retention and loss ledger", "Topics kept too short"):
        "count by (cluster, topic) (kafka_topic_retention_shortfall_seconds > 0)",
}


@pytest.mark.parametrize("what", ONCE, ids=lambda what: what[1])
def test_what_two_tidemarks_see_is_counted_once(prometheus, answered, what):
    [dashboard] = [dashboard for dashboard in DASHBOARDS if dashboard["title"] == what[0]]
    [panel] = [panel for panel in grafana_dashboard.panels(dashboard) if panel["title"] == what[1]]
    [query] = grafana_dashboard.panel_queries(dashboard, panel)

    def counted():
        counts = [int(one["value"][1]) for one in answers(prometheus, query, ANY, ANY)]
        assert counts == [len(prometheus.query(ONCE[what]))]
        return True

    processes.wait_until(counted, what=what[1])


# --- a thousand groups -------------------------------------------------------------------------------------

MANY = 1000


def recorded():
    """What the recording rules keep, as the catalogue would list it: the name begins with the labels."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    level = rule["record"].split(":")[0]
                    yield {"name": rule["record"], "type": "gauge", "labels": level.split("_")}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """(a Prometheus with ten minutes of a thousand groups, when they end)"""
    folder = tmp_path_factory.mktemp("crowded")
    code, output, errors = run("metrics", "--json")
    assert code == 0, errors
    chance, end = random.Random(1), int(time.time()) - 3600
    with open(folder / "page", "w") as page:
        for metric in [*json.loads(output), *recorded()]:
            print(f"# TYPE {metric['name'].removesuffix('_total')} {metric['type']}", file=page)
            for series in crowd.series(metric, MANY):
                text = ",".join(f'{name}="{value}"' for name, value in {**series, "job": "t", "instance": "i"}.items())
                for i in range(5):
                    value = 1 if metric["name"].endswith(("_info", "_condition")) else chance.randint(1, 1000) + 1000 * i
                    print(f"{metric['name']}{{{text}}} {value} {end - 600 + 150 * i}", file=page)
        print("# EOF", file=page)
    code, output, errors = processes.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "page", folder / "data"], timeout=300
    )
    assert code == 0, errors
    with Prometheus(data=folder / "data") as server:
        processes.wait_until(lambda: server.at("kafka_consumergroup_objective_seconds", end), what="Prometheus")
        yield server, end


MOST_ROWS, MOST_LINES = 100, 30


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
def test_a_thousand_groups_can_still_be_read(crowded, dashboard):
    prometheus, end = crowded
    assert len(prometheus.at("kafka_consumergroup_objective_seconds", end)) == MANY
    values = {**variables(dashboard, "big", "group-7"), "__interval": "150s", "__rate_interval": "600s", "__range": "600s", "__range_s": 600}
    shown = None
    for panel in grafana_dashboard.panels(dashboard):
        for query in grafana_dashboard.panel_queries(dashboard, panel):
            expression = grafana_dashboard.interpolate(query.expression, values)
            if query.instant:
                series = prometheus.at(expression, end)
                assert len(series) <= (1 if panel["type"] == "stat" else MOST_ROWS), query
            else:
                series = prometheus.over_time(expression, 600, 60, end)
                assert len(series) <= MOST_LINES, query
            shown = max(shown or 0, len(series))
    assert shown != 0
