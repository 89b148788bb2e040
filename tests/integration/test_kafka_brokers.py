"""Brokers come and go under load, and coordinators change: whose numbers may be missing then, and that none is wrong."""

import itertools
import json
import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from daemon import Daemon
from exposition import number
from kafka_broker import Running
from kafka_offsets_topic import commit_key, commit_value, partition_of, wait_following
from kafka_traffic import QUIET, Load, commit, produce
from page_watch import PageWatch
from processes import PATIENCE_S, wait_until

_numbers = itertools.count()


@pytest.fixture
def name():
    """A prefix for the topics and groups of one test."""
    return f"brokers{next(_numbers)}-"


class Inspector(PageWatch):
    """Reads the page all the time: no counter goes down, and of a topic under load each end was there to be seen, and
    the group's lag is the distance between two numbers of the same page."""

    def __init__(self, daemon, load):
        super().__init__(daemon)
        self.load, self.counters = load, {}

    def look(self, page):
        self._check_counters(page)
        self._check_load(page, list(self.load.sent))

    def _check_counters(self, page):
        for (name, labels), text in page.items():
            if page.types.get(name) == "counter":
                value, before = number(text), self.counters.get((name, labels), 0)
                assert value >= before, f"{name}{dict(labels)} went from {before} to {value}"
                self.counters[name, labels] = value

    def _check_load(self, page, sent):
        ends = ends_of(page, self.load.topic)
        for partition, lag in lags_of(page, self.load.group, self.load.topic).items():
            where = {"consumergroup": self.load.group, "topic": self.load.topic, "partition": str(partition)}
            committed = page.get_int("kafka_consumergroup_current_offset", cluster="default", **where)
            assert lag == max(0, ends[partition] - committed), f"{where}: {committed} of {ends[partition]} read, lag {lag}"
        assert all(end <= sent[partition] for partition, end in ends.items()), f"ends {ends}, sent {sent}"


def ends_of(page, topic):
    shown = page.by("kafka_topic_partition_current_offset", "topic", "partition")
    return {int(partition): end for (where, partition), end in shown.items() if where == topic}


def lags_of(page, group, topic):
    shown = page.by("kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    return {int(partition): lag for (who, where, partition), lag in shown.items() if (who, where) == (group, topic)}


def wait_until_load_is_seen(daemon, load):
    """What the brokers hold by now, and a lag of the group on each partition."""
    least = list(load.acknowledged)

    def is_seen(page):
        ends = ends_of(page, load.topic)
        return len(lags_of(page, load.group, load.topic)) == len(least) and all(
            ends.get(partition, -1) >= end for partition, end in enumerate(least)
        )

    daemon.page_when(is_seen)


def wait_until_load_moves(daemon, load):
    """All partitions have taken something since, and the page shows it."""
    before = list(load.acknowledged)
    wait_until(lambda: all(now > then for now, then in zip(load.acknowledged, before)), what="that all partitions are written to")
    wait_until_load_is_seen(daemon, load)


@pytest.mark.once
def test_one_of_three_brokers_dies_under_load(own_kafka, name):
    """A broker is killed, and comes back, while a producer writes and a group reads without a pause. What is shown is
    right on every page; what the two survivors took over is followed while the third is dead; at the end all is exact."""
    kafka = own_kafka(nodes=3, heap="256m", settings={"offsets.topic.replication.factor": "3", "default.replication.factor": "3"})
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 6, replicas=3)
    with Daemon("--kafka", kafka.bootstrap, "--timeout", "2s", poll_interval="500ms") as daemon:
        with Load(kafka, topic, 6, group) as load, Inspector(daemon, load) as inspector:
            wait_until_load_moves(daemon, load)
            wait_following(daemon)
            kafka.nodes[2].kill()
            wait_until_load_moves(daemon, load)
            kafka.start()
            wait_until_load_moves(daemon, load)
            wait_following(daemon)
        assert inspector.pages > 20
        assert load.acknowledged == load.sent
        reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, **QUIET})
        committed = reader.committed([TopicPartition(topic, partition) for partition in range(6)], PATIENCE_S)
        reader.close()
        lags = {place.partition: load.sent[place.partition] - place.offset for place in committed}
        daemon.page_when(lambda page: lags_of(page, group, topic) == lags)


def leaders_of_offsets(kafka):
    partitions = kafka.admin().list_topics("__consumer_offsets", PATIENCE_S).topics["__consumer_offsets"].partitions
    return {number: partition.leader for number, partition in partitions.items()}


def elect_preferred_leader(kafka, topic, partition):
    names = ["org.apache.kafka.tools.LeaderElectionCommand", "kafka.admin.LeaderElectionCommand"]
    kafka.tool(names, "--election-type", "preferred", "--topic", topic, "--partition", str(partition))


def burden(kafka, partition, records):
    """Gives who takes over that partition of __consumer_offsets a lot to read: commits, each in a batch of its own."""
    group = next(f"burden{i}" for i in itertools.count() if partition_of(kafka, f"burden{i}") == partition)
    config = {"client.id": "__admin_client", "batch.num.messages": 1, "acks": 1, "queue.buffering.max.messages": records, **QUIET}
    producer = Producer({"bootstrap.servers": kafka.bootstrap, **config})
    for _ in range(records):
        producer.produce("__consumer_offsets", key=commit_key(group, "orders", 0), value=commit_value(0), partition=partition)
        producer.poll(0)
    assert producer.flush(PATIENCE_S) == 0


def both_ways(kafka, folder, lags):
    """A configuration by which the cluster is observed twice, commits being asked for and followed; and the lags of
    its groups, by source and group."""
    ways = ("admin", "topic")
    file = folder / "tidemark.json"
    sources = [{"name": offsets, "kafka": kafka.bootstrap, "offsets": offsets} for offsets in ways]
    file.write_text(json.dumps({"sources": sources, "poll_interval": "200ms", "timeout": "30s"}))
    return file, {(source, group): lag for source in ways for group, lag in lags.items()}


def lags_on(page, topic):
    lags = page.by("kafka_consumergroup_lag", "cluster", "consumergroup", "topic")
    return {(source, group): lag for (source, group, where), lag in lags.items() if where == topic}


@pytest.mark.once
@pytest.mark.since(4, 0)
def test_a_coordinator_that_loads_costs_its_own_groups_and_no_others(own_kafka, name, tmp_path):
    """A broker becomes the coordinator of some groups and needs seconds to read what is known of them; until then it
    refuses to tell of them, and to list any. The page never shows a wrong number, and what may be missing for a while
    is of these groups, whether commits are followed or asked for."""
    settings = {"offsets.load.buffer.size": "1", "offsets.topic.replication.factor": "3"}
    kafka = own_kafka(nodes=3, heap="256m", settings=settings)
    topic, groups = f"{name}orders", [f"{name}{number}" for number in range(8)]
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    for group in groups:
        commit(kafka, group, topic, {0: 3})
    # The first node is the controller. Leadership goes to another while this one is away, and comes back by election.
    preferred = {number: leader for number, leader in leaders_of_offsets(kafka).items() if leader != kafka.nodes[0].number}
    burdened, node = next((number, kafka.nodes[leader - 1]) for number, leader in preferred.items())
    node.kill()
    wait_until(lambda: leaders_of_offsets(kafka)[burdened] not in (node.number, -1), what="that another takes over")
    burden(kafka, burdened, 60_000)
    kafka.start()

    file, expected = both_ways(kafka, tmp_path, {group: 7 for group in groups})
    untouched = {place for place in expected if partition_of(kafka, place[1]) != burdened}

    def is_over(page):
        """Not an assertion, which page_when() would take for "not yet"."""
        found = lags_on(page, topic)
        if not untouched <= set(found) or not found.items() <= expected.items():
            raise ValueError(f"a wrong number, or none of a group that nothing happens to: {found}")
        errors = page.by("tidemark_poll_errors_total", "cluster", "stage")
        return found == expected and all(errors[source, "groups"] > 0 for source, _ in expected)

    with Daemon("--config", file, poll_interval=None) as daemon:
        daemon.page_when(lambda page: lags_on(page, topic) == expected)
        election = threading.Thread(target=elect_preferred_leader, args=(kafka, "__consumer_offsets", burdened))
        election.start()
        try:
            daemon.page_when(is_over)
        finally:
            election.join()


def ends_in(poll, topic):
    """The ends of the topic's partitions in a poll as it was recorded."""
    return [partition.get("end") for seen in poll["topics"] if seen["topic"] == topic for partition in seen["partitions"]]


@pytest.mark.once
@pytest.mark.since(4, 0)
def test_the_only_broker_tells_of_its_topics_while_it_loads_its_groups(own_kafka, name, tmp_path):
    """The broker has come back, and needs seconds to read what is known of its groups; until then it refuses to list
    any. That costs the groups, and not the source."""
    kafka = own_kafka(settings={"offsets.load.buffer.size": "1"})
    topic, groups = f"{name}orders", [f"{name}{number}" for number in range(4)]
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    for group in groups:
        commit(kafka, group, topic, {0: 3})
    burden(kafka, partition_of(kafka, groups[0]), 60_000)
    file, expected = both_ways(kafka, tmp_path, {group: 7 for group in groups})
    kafka.nodes[0].kill()
    kafka.start()
    record = tmp_path / "record.jsonl"

    def is_over(page):
        """Not an assertion, which page_when() would take for "not yet"."""
        found = lags_on(page, topic)
        if not found.items() <= expected.items():
            raise ValueError(f"a wrong number: {found}")
        return found == expected

    with Daemon("--config", file, "--record", record, poll_interval=None) as daemon:
        page = daemon.page_when(is_over)
    errors = page.by("tidemark_poll_errors_total", "cluster", "stage")
    assert errors["admin", "groups"] > 0 and errors["topic", "groups"] > 0
    # Pages may pass unseen; the record has all polls that were not given up.
    polls = [json.loads(line) for line in record.read_bytes().splitlines()]
    assert {poll["cluster"] for poll in polls if not poll["groups"] and ends_in(poll, topic) == [10]} == {"admin", "topic"}


@pytest.mark.once
def test_one_of_three_brokers_dies_and_hangs_and_comes_back(own_kafka, name):
    """Each topic has three replicas. While one broker is away, and when it is back, every number is right; groups whose
    coordinator it was are the only ones that may be missing for a moment. The same when it is only frozen."""
    kafka = own_kafka(nodes=3, heap="256m", settings={"offsets.topic.replication.factor": "3", "default.replication.factor": "3"})
    topic, groups = f"{name}orders", [f"{name}{number}" for number in range(8)]
    kafka.create_topic(topic, 6, replicas=3)
    produce(kafka, topic, {partition: 10 for partition in range(6)})
    for group in groups:
        commit(kafka, group, topic, {partition: 3 for partition in range(6)})
    assert len({partition_of(kafka, group) for group in groups}) > 2, "groups of several coordinators"

    def shown(page):
        lags = page.by("kafka_consumergroup_lag", "consumergroup", "topic", "partition")
        return {(group, partition): lag for (group, where, partition), lag in lags.items() if where == topic}

    def in_sync(page):
        """How many replicas of a partition are in sync, and whether that is too few; of all partitions."""
        names = ("kafka_topic_partition_in_sync_replica", "kafka_topic_partition_under_replicated_partition")
        counts, lacking = (page.by(name, "topic", "partition") for name in names)
        return {(counts[place], lacking[place]) for place in counts if place[0] == topic}

    def all_lags(lag):
        return {(group, str(partition)): lag for group in groups for partition in range(6)}

    with Daemon("--kafka", kafka.bootstrap, "--timeout", "2s", poll_interval="500ms") as daemon:
        wait_following(daemon)
        daemon.page_when(lambda page: shown(page) == all_lags(7))
        kafka.nodes[2].kill()
        survivors = Running(",".join(node.address for node in kafka.nodes[:2]))
        produce(survivors, topic, {partition: 5 for partition in range(6)})
        for group in groups:
            commit(survivors, group, topic, {partition: 9 for partition in range(6)})

        def none_is_wrong(page):
            """Not an assertion, which page_when() would take for "not yet"."""
            if not set(shown(page).values()) <= {*range(7, 13), 6}:  # while five are written, and when they are committed
                raise ValueError(f"a lag that never was: {shown(page)}")
            return shown(page) == all_lags(6) and page.get_int("tidemark_source_up", cluster="default") == 1

        daemon.page_when(none_is_wrong)
        daemon.page_when(lambda page: in_sync(page) == {(2, 1)})
        kafka.start()
        commit(kafka, groups[0], topic, {0: 15})
        expected = {**all_lags(6), (groups[0], "0"): 0}
        daemon.page_when(lambda page: shown(page) == expected and in_sync(page) == {(3, 0)})
        wait_following(daemon)
        kafka.nodes[2].pause()
        produce(survivors, topic, {partition: 1 for partition in range(6)})
        expected = {place: lag + 1 for place, lag in expected.items()}

        def none_is_wrong_now(page):
            if not all(shown(page).get(place, lag) in (lag, lag - 1) for place, lag in expected.items()):
                raise ValueError(f"a lag that never was: {shown(page)}")
            return shown(page) == expected and page.get_int("tidemark_source_up", cluster="default") == 1

        daemon.page_when(none_is_wrong_now)
        kafka.nodes[2].resume()
        commit(kafka, groups[1], topic, {0: 16})
        expected[groups[1], "0"] = 0
        daemon.page_when(lambda page: shown(page) == expected)
