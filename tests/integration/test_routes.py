"""The routes beside the metrics: is it alive, is it ready, what does it know, for programs."""

import http.client
import json
import socket
import subprocess

import pytest

import processes
from daemon import PROGRAM, Daemon
from store import Store

TOPICS = 7


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A store with seven topics and a group that was reset, and a Kafka that can't be reached, with secrets."""
    folder = tmp_path_factory.mktemp("routes")
    store = folder / "store"

    def log(*arguments, text=""):
        subprocess.run([PROGRAM, "log", *arguments], input=text, text=True, check=True, timeout=120)

    for topic in range(TOPICS):
        log("create", store, f"topic-{topic}", "--partitions", "2")
    log("append", store, "topic-0", "--partition", "0", text="message\n" * 40)
    log("commit", store, "reader", "topic-0", "0", "30")
    configuration = {
        "max_series": 5000,
        "rules": {"objective": "7m"},
        "sources": [
            {"name": "store", "logstore": str(store), "granularity": "topic"},
            {
                "name": "kafka",
                "kafka": f"127.0.0.1:{processes.free_port()}",
                "timeout": "500ms",
                "properties": {
                    "security.protocol": "SASL_PLAINTEXT",
                    "sasl.mechanism": "PLAIN",
                    "sasl.username": "WHO-IS-IT",
                    "sasl.password": "HUSH-HUSH",
                },
            },
        ],
    }
    file = folder / "tidemark.json"
    file.write_text(json.dumps(configuration))
    with Daemon("--config", str(file)) as daemon:
        daemon.page_when(lambda page: page.get_int("kafka_consumergroup_members", cluster="store", consumergroup="reader") == 0)
        log("commit", store, "reader", "topic-0", "0", "10")
        yield daemon


def ask(daemon, path, method="GET"):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get_json(daemon, path):
    status, headers, body = ask(daemon, path)
    assert (status, headers["Content-Type"]) == (200, "application/json"), body
    return json.loads(body)


def test_it_is_ready_once_every_source_was_polled_or_is_known_to_be_down(tmp_path):
    """Kafka's address takes connections and says nothing, so the first poll takes all the time that it is given."""

    def waits_for_one():
        status, _, body = ask(daemon, "/readyz")
        return status == 503 and b"1 of the sources" in body

    with socket.create_server(("127.0.0.1", processes.free_port())) as silent:
        sources = ("--kafka", f"127.0.0.1:{silent.getsockname()[1]}", "--logstore", f"s={tmp_path}/store")
        with Daemon(*sources, "--timeout", "10m") as daemon:
            processes.wait_until(waits_for_one, what="that one of the sources is waited for")
            assert ask(daemon, "/healthz")[0] == 200
        with Daemon(*sources, "--timeout", "1s") as daemon:
            daemon.wait_ready()


def test_clusters_tell_of_each_source(daemon):
    daemon.wait_ready()
    store, kafka = get_json(daemon, "/api/v1/clusters")["clusters"]
    assert (store["cluster"], store["kind"], store["up"]) == ("store", "logstore", True)
    assert (store["topics"], store["partitions"], store["groups"], store["positions"]) == (TOPICS, 2 * TOPICS, 1, 1)
    assert (kafka["cluster"], kafka["polled"], kafka["up"]) == ("kafka", True, False)
    assert "topics" not in kafka and "last_success" not in kafka


def test_topics_come_in_pages(daemon):
    seen = []
    for offset in range(0, TOPICS + 3, 3):
        page = get_json(daemon, f"/api/v1/topics?limit=3&offset={offset}")
        assert (page["total"], page["limit"], page["offset"]) == (TOPICS, 3, offset)
        seen += [topic["topic"] for topic in page["topics"]]
    assert seen == [f"topic-{i}" for i in range(TOPICS)]
    first = get_json(daemon, "/api/v1/topics?limit=1")["topics"][0]
    assert (first["partitions"], first["groups"], first["end_sum"], first["messages"]) == (2, 1, 40, 40)
    assert get_json(daemon, "/api/v1/topics?cluster=kafka")["total"] == 0
    assert get_json(daemon, "/api/v1/topics?cluster=store&limit=0")["topics"] == []


def test_groups_come_in_pages_or_all_at_once(tmp_path):
    """Five groups, of which two are late; a second store has another one."""
    stores = {"a": Store(tmp_path / "a"), "b": Store(tmp_path / "b")}
    for store in stores.values():
        store.create("orders")
        store.append("orders", 10)
    for number in range(5):
        stores["a"].commit(f"group-{number}", "orders", 3 if number in (2, 4) else 10)
    stores["b"].commit("other", "orders", 10)
    flags = [word for name, store in stores.items() for word in ("--logstore", f"{name}={store.folder}")]
    with Daemon(*flags, "--rule", "stopped_after=100ms") as daemon:
        asked = "/api/v1/groups?cluster=a"
        verdicts = lambda: [group["verdict"] for group in get_json(daemon, "/api/v1/groups?limit=2")["groups"]]  # noqa: E731
        daemon.wait_ready()
        processes.wait_until(lambda: verdicts() == ["stopped"] * 2, what="late groups")
        everything = get_json(daemon, "/api/v1/groups")
        assert everything["total"] == len(everything["groups"]) == 6 and "limit" not in everything
        whole = get_json(daemon, asked)
        assert [source["cluster"] for source in whole["sources"]] == ["a"] and whole["total"] == 5
        paged = [get_json(daemon, f"{asked}&limit=2&offset={offset}") for offset in (0, 2, 4, 6)]
        assert [len(page["groups"]) for page in paged] == [2, 2, 1, 0]
        assert [group["group"] for page in paged for group in page["groups"]] == [group["group"] for group in whole["groups"]]
        assert {group["group"] for group in paged[0]["groups"]} == {"group-2", "group-4"}
        assert ask(daemon, "/api/v1/groups?limit=1001")[0] == 400


def test_events_come_the_latest_first(daemon):
    def rewound():
        events = get_json(daemon, "/api/v1/events")["events"]
        return [event for event in events if event["event"] == "rewound"]

    event = processes.wait_until(rewound, what="the event")[0]
    assert (event["cluster"], event["group"], event["topic"], event["count"]) == ("store", "reader", "topic-0", 20)
    times = [event["time"] for event in get_json(daemon, "/api/v1/events")["events"]]
    assert times == sorted(times, reverse=True)


def test_the_configuration_is_shown_without_its_secrets(daemon):
    shown = get_json(daemon, "/api/v1/config")
    assert (shown["max_series"], shown["rules"]["objective"], shown["rules"]["horizon"]) == (5000, "420s", "86400s")
    store, kafka = shown["sources"]
    assert store["granularity"] == "topic" and kafka["granularity"] == "partition"
    assert kafka["properties"]["security.protocol"] == "SASL_PLAINTEXT"
    assert kafka["properties"]["sasl.password"] == "<secret>"
    body = ask(daemon, "/api/v1/config")[2]
    assert b"HUSH" not in body and b"WHO" not in body


@pytest.mark.parametrize("query", ["limit=-1", "limit=ten", "limit=1001", "offset=", "offset=99999999999999999999"])
def test_a_bad_range_is_refused_in_words(daemon, query):
    status, _, body = ask(daemon, f"/api/v1/topics?{query}")
    assert status == 400 and b"limit" in body


@pytest.mark.parametrize("path", ["/metrics/", "/api", "/api/v1/", "/api/v1/topics/x", "/../etc/passwd", "/%2e%2e", "//"])
def test_an_unknown_path_is_answered_in_words(daemon, path):
    status, headers, body = ask(daemon, path)
    assert status == 404 and b"/metrics" in body and headers["Content-Type"].startswith("text/plain")


LONG = "x" * 8000


@pytest.mark.parametrize(
    "path, status",
    [
        ("/api/v1/groups/%00", 404),
        ("/api/v1/groups/reader%00", 404),
        ("/api/v1/groups/%", 404),
        ("/api/v1/groups/%zz%f", 404),
        ("/api/v1/groups/%ff%fe?cluster=%ff", 404),
        ("/api/v1/groups/" + LONG, 404),
        ("/groups/" + LONG, 404),
        ("/groups/%3Cscript%3E", 404),
        ("/groups/reader?cluster=" + LONG, 404),
        ("/groups/reader?cluster=store", 200),
        ("/?q=" + LONG, 200),
        ("/?q=%00%ff%22%3E%3Cscript%3Ealert(1)%3C/script%3E", 200),
        ("/metrics?group=" + "&group=".join("*a" * 20 for _ in range(100)), 200),
        ("/metrics?group=%00&cluster=%ff&" + "&" * 200, 200),
        ("/metrics?group=%00&cluster=%ff&" + "&" * 500, 431),
        ("/metrics?" + "*" * 6000, 200),
        ("/api/v1/topics?limit=%31&offset=%30", 200),
        ("/api/v1/topics?limit=1%00", 400),
        ("/api/v1/topics?limit=1&limit=x", 200),
        ("/%6detrics", 200),
        ("/metrics%00", 404),
        ("/metrics;x=1", 404),
        ("/metrics/../metrics", 404),
        ("/healthz%2f", 404),
        ("/" + LONG, 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_paths_are_answered_in_words(daemon, path, status):
    answered, headers, body = ask(daemon, path)
    assert answered == status, body[:200]
    assert b"<script>alert" not in body
    if status >= 400:
        assert 0 < len(body) < 300


def test_a_wrong_method_is_answered_in_words(daemon):
    for path, method, allowed in [("/metrics", "POST", "GET, HEAD"), ("/api/v1/topics", "DELETE", "GET, HEAD"), ("/-/reload", "GET", "POST")]:
        status, headers, body = ask(daemon, path, method)
        assert (status, headers["Allow"]) == (405, allowed) and b"this path takes" in body


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/api/v1/topics", "/nowhere"])
def test_every_answer_is_safe_to_show(daemon, path):
    headers = ask(daemon, path)[1]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY" and headers["Referrer-Policy"] == "no-referrer"
    if path == "/":
        assert "default-src 'none'" in headers["Content-Security-Policy"]
