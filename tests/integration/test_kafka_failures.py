"""Brokers die, hang and come back; topics vanish and are made again. What is unknown is never shown as a 0."""

import json
import socket
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

import processes
from daemon import Daemon
from kafka_traffic import QUIET, commit, produce
from page_watch import PageWatch
from processes import PATIENCE_S

WHERE = {"cluster": "default", "consumergroup": "billing", "topic": "orders", "partition": "0"}


def source_is(state):
    return lambda page: page.get_int("tidemark_source_up", cluster="default") == state


def lag_is(lag):
    return lambda page: page.get_int("kafka_consumergroup_lag", **WHERE) == lag


class Watch(PageWatch):
    """Holds every value of the lag that was ever shown (None: no series)."""

    def __init__(self, daemon, **where):
        super().__init__(daemon)
        self.where, self.lags = {**WHERE, **where}, set()

    def look(self, page):
        self.lags.add(page.get_int("kafka_consumergroup_lag", **self.where))


def fill(cluster):
    """A lag of 7."""
    cluster.create_topic("orders", 1)
    produce(cluster, "orders", {0: 10})
    commit(cluster, "billing", "orders", {0: 3})


def test_a_broker_that_is_started_after_the_daemon(own_kafka):
    """Nothing listens on the broker's port when the daemon starts."""
    cluster = own_kafka(start=False)
    with Daemon("--kafka", cluster.bootstrap, "--timeout", "2s") as daemon:
        page = daemon.page_when(source_is(0))
        assert page.family("kafka_consumergroup_lag") == []
        assert page.family("kafka_brokers") == []
        cluster.start()
        fill(cluster)
        daemon.page_when(lambda page: source_is(1)(page) and lag_is(7)(page))


def test_a_broker_that_is_killed_and_restarted(own_kafka):
    """The broker is killed while the daemon polls, and comes back on the same port with the same data."""
    cluster = own_kafka()
    fill(cluster)
    with Daemon("--kafka", cluster.bootstrap, "--timeout", "2s") as daemon:
        daemon.page_when(lag_is(7))
        with Watch(daemon) as watch:
            cluster.nodes[0].kill()
            page = daemon.page_when(source_is(0))
            assert lag_is(7)(page), "the last page is kept while the source is down"
            cluster.start()
            produce(cluster, "orders", {0: 5})
            daemon.page_when(lambda page: source_is(1)(page) and lag_is(12)(page))
        # One that has come back still reads what is known of its groups, and learns of its topics and that it leads them.
        assert watch.lags <= {*range(7, 13), None}, "a lag that never was"


def test_a_broker_that_accepts_and_never_answers(own_kafka):
    """The broker is stopped with SIGSTOP: connections are made, answers never come."""
    cluster = own_kafka()
    fill(cluster)
    with Daemon("--kafka", cluster.bootstrap, "--timeout", "2s") as daemon:
        daemon.page_when(lag_is(7))
        with Watch(daemon) as watch:
            cluster.nodes[0].pause()
            page = daemon.page_when(source_is(0))
            assert lag_is(7)(page)
            cluster.nodes[0].resume()
            daemon.page_when(source_is(1))
            produce(cluster, "orders", {0: 5})
            daemon.page_when(lag_is(12))
        # The stop may fall between two requests of a poll: then what the second was to tell is unknown for that poll.
        assert watch.lags <= {*range(7, 13), None}, "a lag that never was"


@pytest.fixture
def silent():
    """A server that says nothing, whoever connects."""
    with socket.create_server(("127.0.0.1", processes.free_port())) as server:
        yield server


def address_of(server):
    return "%s:%d" % server.getsockname()


def test_pages_come_and_the_daemon_ends_while_a_broker_does_not_answer(silent):
    """The only broker never says a word, and a request to it would be given up long after this test."""
    with Daemon("--kafka", address_of(silent), "--timeout", "1h") as daemon:
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1), "it has been asked"
        assert source_is(None)(daemon.page()), "the first poll goes on"
        assert daemon.stop() == 0


def test_a_topic_that_is_deleted_and_made_again(kafka):
    """Between polls the topic goes; later one of the same name comes, shorter and with another commit."""
    kafka.create_topic("orders", 1)
    produce(kafka, "orders", {0: 10})
    commit(kafka, "billing", "orders", {0: 3})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lag_is(7))
        with Watch(daemon) as watch:
            kafka.delete_topic("orders")
            gone = lambda page: not any(labels["topic"] == "orders" for labels, _ in page.family("kafka_topic_partitions"))  # noqa: E731
            page = daemon.page_when(gone)
            assert page.get_text("kafka_consumergroup_lag", **WHERE) is None
            assert page.get_text("kafka_consumergroup_current_offset", **WHERE) is None
            kafka.create_topic("orders", 1)
            produce(kafka, "orders", {0: 4})
            commit(kafka, "billing", "orders", {0: 2})
            daemon.page_when(lag_is(2))
        assert watch.lags <= {7, None, 2}, "between the two topics there is no lag to be known"


def test_a_topic_that_is_deleted_while_it_is_asked_about(kafka):
    """Polls follow each other without a pause, while a topic is made, written to, read from and deleted, again and
    again: another topic's lag is always right, this one's never more than was written and not read."""
    kafka.create_topic("lasting", 1)
    produce(kafka, "lasting", {0: 10})
    commit(kafka, "fleeting", "lasting", {0: 3})
    with Daemon("--kafka", kafka.bootstrap, poll_interval="100ms") as daemon:
        lasting = {"topic": "lasting", "consumergroup": "fleeting"}
        daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **WHERE | lasting) == 7)
        with Watch(daemon, **lasting) as one, Watch(daemon, topic="fleeting", consumergroup="fleeting") as other:
            for _ in range(10):
                kafka.create_topic("fleeting", 3)
                produce(kafka, "fleeting", {0: 5, 1: 5, 2: 5})
                commit(kafka, "fleeting", "fleeting", {0: 2, 1: 2, 2: 2})
                kafka.delete_topic("fleeting")
        assert one.lags <= {7, None} and 7 in one.lags
        assert other.lags <= {None, 0, 1, 2, 3}

        def only_one_is_there(page):
            gone = all(labels["topic"] != "fleeting" for labels, _ in page.family("kafka_topic_partitions"))
            return gone and source_is(1)(page) and page.get_int("kafka_consumergroup_lag", **WHERE | lasting) == 7

        daemon.page_when(only_one_is_there)


def resident_kb(daemon):
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def come_and_go(cluster, daemon, names):
    """Topics are made, written to and read from, seen by the daemon, and deleted again."""
    admin = cluster.admin()
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        made.result(PATIENCE_S)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, **QUIET})
    for name in names:
        producer.produce(name, b"x", partition=0)
    assert producer.flush(PATIENCE_S) == 0
    reader = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "passing", **QUIET})
    reader.commit(offsets=[TopicPartition(name, 0, 0) for name in names], asynchronous=False)
    reader.close()

    def seen(page):
        return {labels["topic"] for labels, _ in page.family("kafka_consumergroup_lag_seconds")} & set(names)

    daemon.page_when(lambda page: seen(page) == set(names))
    for deleted in admin.delete_topics(names).values():
        deleted.result(PATIENCE_S)
    daemon.page_when(lambda page: not seen(page))


@pytest.mark.once
def test_topics_that_come_and_go_leave_nothing_behind(own_kafka):
    """A thousand topics are made, read from by a group that stays, and deleted. After the first 450 the daemon needs
    no more memory, but for a tenth by which it goes up and down; it needed 6 KB more for each, a quarter in all, when
    it forgot none of them."""
    cluster = own_kafka()
    cluster.create_topic("stays", 1)
    commit(cluster, "passing", "stays", {0: 0})
    with Daemon("--kafka", cluster.bootstrap) as daemon:
        resident = []
        for number in range(7):
            come_and_go(cluster, daemon, [f"passing-{number}-{topic}" for topic in range(150)])
            resident.append(resident_kb(daemon))
        assert min(resident[4:]) < 1.1 * max(resident[:3]), resident


@pytest.mark.once
def test_clusters_do_not_feel_each_other(kafka, own_kafka, silent, tmp_path):
    """Two clusters with topics and groups of the same names; one of them stops answering, and then is gone. A third
    doesn't answer at all, and is polled once, for longer than the test takes."""
    other = own_kafka()
    for cluster, lag in ((kafka, 3), (other, 4)):
        cluster.create_topic("isolated", 1)
        produce(cluster, "isolated", {0: 10})
        commit(cluster, "isolated", "isolated", {0: 10 - lag})
    file = tmp_path / "tidemark.json"
    named = {"well": kafka, "ill": other}
    sources = [{"name": name, "kafka": cluster.bootstrap, "timeout": "2s"} for name, cluster in named.items()]
    sources.append({"name": "silent", "kafka": address_of(silent), "timeout": "1h"})
    file.write_text(json.dumps({"sources": sources, "poll_interval": "200ms"}))

    def lag(page, cluster):
        return page.get_int("kafka_consumergroup_lag", cluster=cluster, consumergroup="isolated", topic="isolated", partition="0")

    def up(page, cluster):
        return page.get_int("tidemark_source_up", cluster=cluster)

    with Daemon("--config", file) as daemon:
        daemon.page_when(lambda page: (lag(page, "well"), lag(page, "ill")) == (3, 4))
        other.nodes[0].pause()
        for end in range(11, 16):
            produce(kafka, "isolated", {0: 1})
            daemon.page_when(lambda page, end=end: lag(page, "well") == end - 7)
        daemon.page_when(lambda page: (up(page, "well"), up(page, "ill")) == (1, 0))
        other.nodes[0].resume()
        daemon.page_when(lambda page: (up(page, "ill"), lag(page, "ill")) == (1, 4))
        other.nodes[0].kill()
        page = daemon.page_when(lambda page: (up(page, "well"), up(page, "ill"), lag(page, "well")) == (1, 0, 8))
        assert up(page, "silent") is None, "its first poll goes on"
