"""Beyond offsets: how old what is unread is, what the topics keep, and where the open transactions begin."""

import json
import time

import kafka_wire
import pytest
from confluent_kafka import Producer
from daemon import Daemon
from kafka_traffic import QUIET, commit, produce, records, transaction
from page_watch import PageWatch
from processes import PATIENCE_S, wait_until


def produce_at(cluster, topic, times, key=None):
    """One message for each timestamp (seconds), all in partition 0."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, **QUIET})
    for seconds in times:
        producer.produce(topic, b"x", key=key, partition=0, timestamp=int(seconds * 1000))
    assert producer.flush(PATIENCE_S) == 0


def are_known(*groups, topic):
    """On a page, the time lags of all these groups."""
    return lambda page: all(age_of(page, group, topic) is not None for group in groups)


def age_of(page, group, topic):
    """The time lag of the group on partition 0, or None."""
    where = {"cluster": "default", "consumergroup": group, "topic": topic, "partition": "0"}
    text = page.get_text("kafka_consumergroup_lag_seconds", **where)
    return None if text is None else float(text)


class Clock:
    """Ages as they should be now, of what was this old when the clock was made; a second is allowed for the way."""

    def __init__(self):
        self.begun = time.time()

    def fits(self, age, then):
        return age is not None and then - 0.1 <= age <= then + (time.time() - self.begun) + 1


def test_time_lag_is_the_age_of_the_first_unread_message(kafka):
    """Messages are 1000 s, 900 s … 100 s old; one group has read three of them, one all, one is below the start."""
    clock = Clock()
    kafka.create_topic("aged", 1)
    produce_at(kafka, "aged", [clock.begun - age for age in range(1000, 0, -100)])
    commit(kafka, "aged-some", "aged", {0: 3})
    commit(kafka, "aged-all", "aged", {0: 10})
    commit(kafka, "aged-lost", "aged", {0: 0})
    kafka_wire.delete_records(kafka.bootstrap, b"aged", {0: 2})

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(are_known("aged-some", "aged-lost", "aged-all", topic="aged"))
        assert clock.fits(age_of(page, "aged-some", "aged"), 700)
        assert clock.fits(age_of(page, "aged-lost", "aged"), 800)
        assert age_of(page, "aged-all", "aged") == 0
        where = {"cluster": "default", "topic": "aged"}
        assert float(page.get_text("kafka_topic_unkeyed_ratio", **where)) == 1


def test_time_lag_is_exact_over_bursts_pauses_and_replays(kafka):
    """A topic with a message of an hour ago, a burst of ten minutes ago, and nothing since; one group has read the
    first, one all but the last; a third had read all and then goes back to the beginning."""
    clock = Clock()
    kafka.create_topic("bursts", 1)
    produce_at(kafka, "bursts", [clock.begun - 3600] + [clock.begun - 600] * 1000)
    for group, offset in (("bursts-first", 1), ("bursts-late", 1000), ("bursts-again", 1001)):
        commit(kafka, group, "bursts", {0: offset})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(are_known("bursts-first", "bursts-late", "bursts-again", topic="bursts"))
        assert clock.fits(age_of(page, "bursts-first", "bursts"), 600)
        assert clock.fits(age_of(page, "bursts-late", "bursts"), 600)
        assert age_of(page, "bursts-again", "bursts") == 0
        commit(kafka, "bursts-again", "bursts", {0: 0})
        daemon.page_when(lambda page: clock.fits(age_of(page, "bursts-again", "bursts"), 3600))


def test_time_lag_beyond_what_compaction_took(kafka):
    """A group stands where compaction has taken everything: the next message that is left is the first unread one."""
    clock = Clock()
    kafka.create_topic("gaps", 1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio="0.01")
    produce_at(kafka, "gaps", [clock.begun - 9000] * 50 + [clock.begun - 5000], key=b"same")
    produce_at(kafka, "gaps", [clock.begun - 100] * 2, key=b"last")
    commit(kafka, "gaps-reader", "gaps", {0: 10})
    wait_until(lambda: min(record.offset() for record in records(kafka, "gaps")) == 50, what="that the cleaner has cleaned")
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lambda page: clock.fits(age_of(page, "gaps-reader", "gaps"), 5000))


def test_time_lag_by_the_brokers_clock(kafka):
    """The topic's timestamps are the broker's, whatever the producer says."""
    clock = Clock()
    kafka.create_topic("appended", 1, message_timestamp_type="LogAppendTime")
    produce_at(kafka, "appended", [clock.begun - 5000] * 3)
    commit(kafka, "appended-reader", "appended", {0: 1})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lambda page: clock.fits(age_of(page, "appended-reader", "appended"), 0))


def test_time_lag_where_timestamps_tell_nothing(kafka):
    """A producer's clock is ahead, and another gives its message no timestamp: what was seen when bounds the age."""
    kafka.create_topic("ahead", 1)
    kafka.create_topic("timeless", 1)
    for topic in ("ahead", "timeless"):
        commit(kafka, f"{topic}-reader", topic, {0: 0})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lambda page: all(age_of(page, f"{topic}-reader", topic) == 0 for topic in ("ahead", "timeless")))
        clock = Clock()
        wait_for_polls(daemon, 2)  # it may have come just after the one before it was seen
        produce_at(kafka, "ahead", [clock.begun + 1000])
        kafka_wire.produce(kafka.bootstrap, b"timeless", timestamp=-1)
        for topic in ("ahead", "timeless"):
            page = daemon.page_when(lambda page, topic=topic: (age_of(page, f"{topic}-reader", topic) or 0) >= 2)
            assert clock.fits(age_of(page, f"{topic}-reader", topic), 0)


def test_time_lag_within_a_transaction(kafka):
    """A group has read a part of a transaction that is still open: what comes next is what it waits for."""
    kafka.create_topic("within", 1)
    clock = Clock()
    with transaction(kafka, "within", {0: 5}, "within-open"):
        commit(kafka, "within-reader", "within", {0: 2})
        time.sleep(1)
        with Daemon("--kafka", kafka.bootstrap) as daemon:
            page = daemon.page_when(are_known("within-reader", topic="within"))
            assert 1 <= age_of(page, "within-reader", "within") <= time.time() - clock.begun + 1


def test_the_share_of_messages_without_a_key(kafka):
    """Of one topic every message has a key, of another every second one."""
    for topic in ("keyed", "half-keyed"):
        kafka.create_topic(topic, 1)
        for number in range(20):
            produce(kafka, topic, {0: 1}, key=b"k" if topic == "keyed" or number % 2 == 0 else None)
        commit(kafka, f"{topic}-reader", topic, {0: 0})
    with Daemon("--kafka", kafka.bootstrap) as daemon:

        def ratios(page):
            of_all = page.by("kafka_topic_unkeyed_ratio", "topic")
            return [of_all.get((topic,)) for topic in ("keyed", "half-keyed")]

        keyed, half_keyed = ratios(daemon.page_when(lambda page: None not in ratios(page)))
        assert keyed == 0
        assert 0 < half_keyed < 1


def test_retention_and_cleanup_are_the_topics_own(kafka):
    """One topic keeps an hour, one is compacted."""
    kafka.create_topic("hourly", 1, retention_ms=3600000)
    kafka.create_topic("compacted", 1, cleanup_policy="compact")
    with Daemon("--kafka", kafka.bootstrap) as daemon:

        def shown(page):
            policies = {labels["topic"]: labels["cleanup_policy"] for labels, _ in page.family("kafka_topic_info")}
            retention = page.get_int("kafka_topic_retention_seconds", cluster="default", topic="hourly")
            return retention, policies.get("hourly"), policies.get("compacted")

        daemon.page_when(lambda page: shown(page) == (3600, "delete", "compact"))


def test_settings_that_decide_about_loss_are_the_topics_own(kafka, tmp_path):
    """A topic with all of them set to what no default is; what has no series is in the record of what was observed."""
    settings = {
        "cleanup.policy": "compact,delete",
        "retention.ms": 3_600_000,
        "retention.bytes": 123_456_789,
        "segment.ms": 240_000,
        "segment.bytes": 2_097_152,
        "min.compaction.lag.ms": 60_000,
        "delete.retention.ms": 120_000,
    }
    kafka.create_topic("decided", 1, min_insync_replicas=2, unclean_leader_election_enable="true", **settings)
    record, where = tmp_path / "record.jsonl", {"cluster": "default", "topic": "decided"}
    with Daemon("--kafka", kafka.bootstrap, "--record", record) as daemon:
        page = daemon.page_when(lambda page: page.get_int("kafka_topic_min_insync_replicas", **where) == 2)
        assert page.get_int("kafka_topic_unclean_leader_election", **where) == 1
        broker = page.by("kafka_broker_info", "id", "address")
        assert broker == {("1", kafka.bootstrap): 1} and page.get_int("kafka_brokers", cluster="default") == 1
        of_partition = ("leader", "replicas", "in_sync_replica", "leader_is_preferred", "under_replicated_partition")
        shown = {what: page.get_int(f"kafka_topic_partition_{what}", **where, partition="0") for what in of_partition}
        assert shown == {"leader": 1, "replicas": 1, "in_sync_replica": 1, "leader_is_preferred": 1, "under_replicated_partition": 0}
    observed = json.loads(record.read_bytes().rstrip(b"\n").split(b"\n")[-1])
    assert next(topic["config"] for topic in observed["topics"] if topic["topic"] == "decided").items() >= settings.items()
    assert observed["offsets_retention_minutes"] == 7 * 24 * 60


def test_settings_are_asked_for_in_one_request_and_seldom(kafka, tmp_path):
    """Of twenty topics, while the daemon polls ten times: one request about the topics and one about the broker."""
    for number in range(20):
        kafka.create_topic(f"seldom-{number}", 1, retention_ms=3600000)
    source = {"name": "default", "kafka": kafka.bootstrap, "topics": {"include": ["seldom-.*"]}, "properties": {"debug": "protocol"}}
    file = tmp_path / "tidemark.json"
    file.write_text(json.dumps({"sources": [source]}))
    with Daemon("--config", file) as daemon:
        daemon.page_when(lambda page: page.by("kafka_topic_retention_seconds", "topic") == {(f"seldom-{n}",): 3600 for n in range(20)})
        wait_for_polls(daemon, 10)
        assert daemon.logged().count("Sent DescribeConfigsRequest") == 2


def test_settings_of_a_topic_that_was_made_again_are_asked_for_anew(kafka):
    """Most likely between two polls; then it has fewer messages, and only that tells it from the one before."""
    kafka.create_topic("renewed", 1, retention_ms=3600000)
    produce(kafka, "renewed", {0: 5})
    with Daemon("--kafka", kafka.bootstrap, poll_interval="5s") as daemon:
        shows = lambda retention: lambda page: page.get_int("kafka_topic_retention_seconds", cluster="default", topic="renewed") == retention  # noqa: E731
        daemon.page_when(shows(3600))
        kafka.delete_topic("renewed")
        kafka.create_topic("renewed", 1, retention_ms=7200000)
        produce(kafka, "renewed", {0: 1})
        daemon.page_when(shows(7200))


def test_an_open_transaction_holds_the_last_stable_offset(kafka):
    """A producer has one transaction committed and one of three messages open."""
    kafka.create_topic("stable", 1)
    with transaction(kafka, "stable", {0: 5}, "stable-first"):
        pass
    commit(kafka, "stable-reader", "stable", {0: 2})
    where = {"cluster": "default", "topic": "stable", "partition": "0"}
    began = time.time()
    with transaction(kafka, "stable", {0: 3}, "stable-second"):
        with Daemon("--kafka", kafka.bootstrap) as daemon:

            def shown(page):
                ends = [page.get_int(f"kafka_topic_partition_{what}_offset", **where) for what in ("current", "last_stable")]
                reader = {"cluster": "default", "consumergroup": "stable-reader", "topic": "stable"}
                return [*ends, page.get_int("kafka_consumergroup_stable_lag", **reader)]

            page = daemon.page_when(lambda page: None not in shown(page))
            assert shown(page) == [9, 6, 4]
            age = daemon.page_when(
                lambda page: page.get_text("kafka_topic_partition_open_transaction_age_seconds", **where)
            ).get_text("kafka_topic_partition_open_transaction_age_seconds", **where)
            assert 0 <= float(age) <= time.time() - began + 1
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(
            lambda page: page.get_int("kafka_topic_partition_last_stable_offset", **where) == 10
        )
        assert page.get_text("kafka_topic_partition_open_transaction_age_seconds", **where) is None


def test_a_trailing_marker_is_nothing_unread(kafka):
    """A group has read every message of a transaction, and commits before the marker that ends it."""
    kafka.create_topic("marked", 1)
    with transaction(kafka, "marked", {0: 5}, "marked-first"):
        pass
    commit(kafka, "marked-done", "marked", {0: 5})
    commit(kafka, "marked-undone", "marked", {0: 4})
    time.sleep(2)

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(are_known("marked-undone", "marked-done", topic="marked"))
        assert age_of(page, "marked-undone", "marked") >= 2
        assert age_of(page, "marked-done", "marked") == 0


LARGE = b"x" * 2000


def in_small_answers(kafka, folder):
    """Options by which a poll looks up for 25 ms, and is told of one partition an answer where messages are LARGE."""
    limits = {"message.max.bytes": "1000", "fetch.max.bytes": "1000"}
    file = folder / "tidemark.json"
    file.write_text(json.dumps({"sources": [{"name": "default", "kafka": kafka.bootstrap, "properties": limits}]}))
    return "--config", file


def known_times(poll, group):
    """At how many of the group's positions the poll, as it was recorded, knew when the first unread message was written."""
    return sum("next_ts" in place for read in poll["groups"] if read["group"] == group for place in read["offsets"])


@pytest.mark.once
def test_what_a_poll_has_no_time_to_look_up_is_absent_and_never_guessed(kafka, tmp_path):
    """A group is one, two or three messages behind on each of many partitions, each of another age: what is shown of a
    position is its age, or nothing, until all are known."""
    ages = {partition: 250_000 - 100 * partition for partition in range(100)}
    kafka.create_topic("many", len(ages))
    clock = Clock()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, **QUIET})
    for partition, age in ages.items():
        for older in [1000] + [0] * (1 + partition % 3):
            producer.produce("many", LARGE, partition=partition, timestamp=int((clock.begun - age - older) * 1000))
    assert producer.flush(PATIENCE_S) == 0
    commit(kafka, "many-reader", "many", {partition: 1 for partition in ages})
    record = tmp_path / "record.jsonl"

    def are_all_right(page):
        """Not an assertion, which page_when() would take for "not yet"."""
        lags = page.by("kafka_consumergroup_lag_seconds", "consumergroup", "topic", "partition")
        shown = {int(partition): age for (_, topic, partition), age in lags.items() if topic == "many"}
        wrong = {partition: age for partition, age in shown.items() if not clock.fits(age, ages[partition])}
        if wrong:
            raise ValueError(f"positions with a time lag that isn't theirs: {wrong}")
        return len(shown) == len(ages)

    with Daemon(*in_small_answers(kafka, tmp_path), "--record", record, poll_interval="100ms") as daemon:
        daemon.page_when(are_all_right, timeout=300)
    # Pages may pass unseen; the record has all polls.
    counts = [known_times(json.loads(line), "many-reader") for line in record.read_bytes().splitlines()]
    assert any(0 < count < len(ages) for count in counts), f"one poll had time for all: {counts}"


class Ages(PageWatch):
    """Holds of each poll that was seen when it ended, and the time lags by group and partition."""

    def __init__(self, daemon):
        super().__init__(daemon)
        self.seen = []

    def look(self, page):
        polled = page.get_text("tidemark_source_last_success_timestamp_seconds", cluster="default")
        if polled is not None and (not self.seen or self.seen[-1][0] != float(polled)):
            self.seen.append((float(polled), page.by("kafka_consumergroup_lag_seconds", "consumergroup", "partition")))


def wait_for_polls(daemon, count):
    """The last of these polls has begun after this was called, if there are two; and is published."""
    for _ in range(count):
        before = last_success(daemon)
        wait_until(lambda: last_success(daemon) != before, what="the next poll")


def last_success(daemon):
    return json.loads(daemon.get("/api/v1/clusters"))["clusters"][0]["last_success"]


@pytest.mark.once
def test_what_a_poll_has_no_time_to_look_up_lies_between_two_polls(own_kafka, tmp_path):
    """While the daemon watches, more partitions are written to than a poll can look up, twice, for two groups that
    wait for the first and for the fourth record. Timestamps are of yesterday, so a time lag tells how it was learnt:
    from the timestamp, or from the two polls between which the record came."""
    kafka = own_kafka()
    partitions, long_ago = range(100), 100_000
    kafka.create_topic("bracketed", len(partitions))
    written = {}  # by group: when its first unread record was not there yet, its timestamp, and when polls have seen it
    with Daemon(*in_small_answers(kafka, tmp_path), poll_interval="100ms") as daemon, Ages(daemon) as ages:
        for offset in (0, 3):
            group = f"bracketed-{offset}"
            commit(kafka, group, "bracketed", dict.fromkeys(partitions, offset))
            daemon.page_when(lambda page, group=group: is_everywhere(page, group, len(partitions), lambda age: age == 0))
            begun = time.time()
            wait_for_polls(daemon, 2)
            stamp = time.time() - long_ago
            producer = Producer({"bootstrap.servers": kafka.bootstrap, **QUIET})
            for partition in [*partitions] * 3:
                producer.produce("bracketed", LARGE, partition=partition, timestamp=int(stamp * 1000))
            assert producer.flush(PATIENCE_S) == 0
            wait_for_polls(daemon, 2)
            written[group] = (begun, stamp, time.time())
            daemon.page_when(lambda page, group=group: is_everywhere(page, group, len(partitions), lambda age: age > long_ago / 2), timeout=300)

    between, rounding = 0, 0.01
    for (earlier, _), (polled, shown) in zip(ages.seen, ages.seen[1:]):
        for (group, partition), age in shown.items():
            begun, stamp, seen = written.get(group, (polled, polled, polled))
            least, most = (stamp, stamp) if age > long_ago / 2 else (begun, seen)
            # Ages are of some moment between the end of the poll before and that of this one.
            assert age == 0 or polled - age > least - rounding, f"{group} on {partition}: {age} s at {polled}, written after {least}"
            assert earlier - age < most + rounding, f"{group} on {partition}: {age} s at {polled}, written before {most}"
            between += 0 < age < long_ago / 2
    assert between > 0, "each poll had time for all"


def is_everywhere(page, group, partitions, fits):
    """Whether each of the group's time lags is there, and fits."""
    ages = page.by("kafka_consumergroup_lag_seconds", "consumergroup", "partition")
    found = [age for (who, _), age in ages.items() if who == group]
    return len(found) == partitions and all(fits(age) for age in found)
