"""The configuration file: what it changes, and how it is refused."""

import json
import os

import pytest

import processes
from daemon import Daemon, run
from kafka_traffic import commit, produce


@pytest.fixture
def write(tmp_path):
    """Writes a configuration, given as text or as what becomes JSON, and returns its path."""

    def write(content):
        path = tmp_path / "tidemark.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


@pytest.mark.parametrize(
    "content, named",
    [
        ("", ["line 1"]),
        ('{"sources": [}', ["line 1", "column"]),
        ({"polinterval": "1s"}, ["polinterval", "poll_interval"]),
        ({"listen": 9308}, ["listen", "such as \"127.0.0.1:9308\", not a number"]),
        ({"timeout": 10}, ["timeout", "such as \"10s\", not a number"]),
        ({"state_dir": True}, ["state_dir", "such as \"/var/lib/tidemark\", not"]),
        ({"sources": [{"name": "a", "kafka": "b:9092", "retries": 3}]}, ["sources[0].retries"]),
        ({"sources": [{"name": "a"}]}, ["sources[0]", "kafka", "logstore"]),
        ({"sources": [{"name": "a", "kafka": ["b:9092"]}]}, ["sources[0].kafka"]),
        ({"sources": [{"name": "a", "kafka": "b:1"}, {"name": "a", "kafka": "c:1"}]}, ["a"]),
        ({"sources": [{"name": "a", "kafka": "b:1", "topics": {"include": ["fine", "a("]}}]}, ["sources[0].topics.include[1]", "a("]),
        ({"sources": [{"name": "a", "kafka": "b:1", "properties": {"no.such.property": "1"}}]}, ["no.such.property"]),
        ({"sources": [{"name": "a", "kafka": "b:1", "properties": {"socket.timeout.ms": "soon"}}]}, ["socket.timeout.ms"]),
        ({"sources": [{"name": "a", "kafka": "b:1", "groups": {"exclude": ["((a{1,200}){1,200}){1,200}"]}}]}, ["groups.exclude[0]", "repeat less"]),
        ({"rules": {"objektive": "5m"}}, ["rules.objektive", "objective"]),
        ({"poll_interval": "15"}, ["poll_interval", "15"]),
        ({"sources": []}, ["source"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else str(value)[:60],
)
def test_an_error_is_one_line_that_names_the_place(write, content, named):
    code, output, errors = run("serve", "--config", write(content), "--once")
    assert code == 2 and output == b"", (code, errors)
    assert len(errors.strip().splitlines()) == 1, errors
    for words in named:
        assert words in errors, errors


def test_a_folder_instead_of_a_file_is_named(tmp_path):
    code, _, errors = run("serve", "--config", str(tmp_path))
    assert code == 2 and str(tmp_path) in errors and len(errors.strip().splitlines()) == 1, errors


def test_what_never_begins_or_ends_is_refused(tmp_path, write):
    """A device has no end; a FIFO keeps who opens it waiting for somebody to write."""
    os.mkfifo(tmp_path / "fifo")
    secret = {"sources": [{"name": "a", "kafka": "b:1", "properties": {"sasl.password": {"file": str(tmp_path / "fifo")}}}]}
    for path, what in [("/dev/zero", "/dev/zero"), (tmp_path / "fifo", "fifo"), (write(secret), "fifo")]:
        code, _, errors = run("serve", "--config", path)
        assert code == 2 and what in errors and "no regular file" in errors and len(errors.strip().splitlines()) == 1, errors


def test_a_file_that_is_too_large_is_refused(tmp_path):
    with (tmp_path / "large.json").open("w") as file:
        file.truncate(17 << 20)
    code, _, errors = run("serve", "--config", file.name)
    assert code == 2 and "is larger than" in errors and len(errors.strip().splitlines()) == 1, errors


def test_one_source_down_while_the_other_is_served(kafka, write):
    """Two clusters are configured; nothing listens on the port of one."""
    kafka.create_topic("config-up", 1)
    produce(kafka, "config-up", {0: 10})
    commit(kafka, "config-up", "config-up", {0: 3})
    dead = f"127.0.0.1:{processes.free_port()}"
    sources = [{"name": "down", "kafka": dead}, {"name": "up", "kafka": kafka.bootstrap}]
    where = {"cluster": "up", "consumergroup": "config-up", "topic": "config-up", "partition": "0"}
    with Daemon("--config", write({"sources": sources, "timeout": "2s"})) as daemon:
        page = daemon.page_when(
            lambda page: (
                page.get_int("kafka_consumergroup_lag", **where) == 7
                and page.get_int("tidemark_source_up", cluster="down") == 0
            )
        )
        assert page.get_int("tidemark_source_up", cluster="up") == 1
        assert not [labels for labels, _ in page.family("kafka_brokers") if labels["cluster"] == "down"]
        produce(kafka, "config-up", {0: 5})
        daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where) == 12)


def test_only_wanted_topics_and_groups_are_shown(kafka, write):
    """Include and exclude patterns match whole names."""

    def only_wanted(page):
        shown = page.by("kafka_consumergroup_lag", "cluster", "consumergroup", "topic")
        assert shown == {("filtered", "reader", "wanted-a"): 1, ("filtered", "reader", "wanted-b"): 1}
        assert set(page.by("kafka_topic_partitions", "topic")) == {("wanted-a",), ("wanted-b",)}
        assert set(page.by("kafka_consumergroup_members", "consumergroup")) == {("reader",)}
        return True

    for topic in ["wanted-a", "wanted-b", "wanted-b-not", "unwanted"]:
        kafka.create_topic(topic, 1)
        produce(kafka, topic, {0: 2})
        for group in ["reader", "reader-test", "other"]:
            commit(kafka, group, topic, {0: 1})
    source = {
        "name": "filtered",
        "kafka": kafka.bootstrap,
        "topics": {"include": ["wanted-.*"], "exclude": [".*-not"]},
        "groups": {"include": ["reader.*"], "exclude": ["reader-test"]},
    }
    with Daemon("--config", write({"sources": [source]})) as daemon:
        daemon.page_when(only_wanted)
