"""Beyond offsets: how old what is unread is, what the topics keep, and where the open transactions begin."""

import time

import kafka_wire
from confluent_kafka import Producer
from daemon import Daemon
from kafka_traffic import QUIET, commit, transaction


def produce_at(cluster, topic, times):
    """One message without a key for each timestamp (seconds), all in partition 0."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, **QUIET})
    for seconds in times:
        producer.produce(topic, b"x", partition=0, timestamp=int(seconds * 1000))
    assert producer.flush(30) == 0


def test_time_lag_is_the_age_of_the_first_unread_message(kafka):
    """Messages are 1000 s, 900 s … 100 s old; one group has read three of them, one all, one is below the start."""
    now = time.time()
    kafka.create_topic("aged", 1)
    produce_at(kafka, "aged", [now - age for age in range(1000, 0, -100)])
    commit(kafka, "aged-some", "aged", {0: 3})
    commit(kafka, "aged-all", "aged", {0: 10})
    commit(kafka, "aged-lost", "aged", {0: 0})
    kafka_wire.delete_records(kafka.bootstrap, b"aged", {0: 2})

    def age(page, group):
        where = {"cluster": "default", "consumergroup": group, "topic": "aged", "partition": "0"}
        text = page.get_text("kafka_consumergroup_lag_seconds", **where)
        return None if text is None else float(text)

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(lambda page: age(page, "aged-some") is not None)
        passed = time.time() - now
        assert 700 <= age(page, "aged-some") <= 700 + passed + 1
        assert 800 <= age(page, "aged-lost") <= 800 + passed + 1
        assert age(page, "aged-all") == 0
        where = {"cluster": "default", "topic": "aged"}
        assert float(page.get_text("kafka_topic_unkeyed_ratio", **where)) == 1


def test_retention_and_cleanup_are_the_topics_own(kafka):
    """One topic keeps an hour, one is compacted."""
    kafka.create_topic("hourly", 1, retention_ms=3600000)
    kafka.create_topic("compacted", 1, cleanup_policy="compact")
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(
            lambda page: page.get_int("kafka_topic_retention_seconds", cluster="default", topic="hourly") == 3600
        )
        policies = {labels["topic"]: labels["cleanup_policy"] for labels, _ in page.family("kafka_topic_info")}
        assert policies["hourly"] == "delete"
        assert policies["compacted"] == "compact"


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
            page = daemon.page_when(
                lambda page: page.get_int("kafka_topic_partition_current_offset", **where) == 9
            )
            assert page.get_int("kafka_topic_partition_last_stable_offset", **where) == 6
            assert page.get_int(
                "kafka_consumergroup_stable_lag", cluster="default", consumergroup="stable-reader", topic="stable"
            ) == 4
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

    def age(page, group):
        where = {"cluster": "default", "consumergroup": group, "topic": "marked", "partition": "0"}
        text = page.get_text("kafka_consumergroup_lag_seconds", **where)
        return None if text is None else float(text)

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(lambda page: age(page, "marked-undone") is not None)
        assert age(page, "marked-undone") >= 2
        assert age(page, "marked-done") == 0
