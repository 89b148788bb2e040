"""Real producers and consumers against a kafka_broker.Cluster, in one line each."""

import threading
import time
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

import processes
from processes import PATIENCE_S

QUIET = {"log_level": 0}


def produce(cluster, topic, counts, key=None, value=b"x", **config):
    """Writes counts[partition] messages to each partition (a dict), each once whatever is retried, and waits until they
    are there."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": "true", **QUIET, **_dotted(config)})
    _send(producer, topic, counts, key, value)
    assert producer.flush(PATIENCE_S) == 0, f"messages were not delivered within {PATIENCE_S} s"


def _send(producer, topic, counts, key=None, value=b"x"):
    failures = []

    def delivered(error, _):
        if error is not None:
            failures.append(error)

    for partition, count in counts.items():
        for _ in range(count):
            producer.produce(topic, value, key=key, partition=partition, on_delivery=delivered)
            producer.poll(0)
    assert producer.flush(PATIENCE_S) == 0 and not failures, failures


@contextmanager
def transaction(cluster, topic, counts, name):
    """Messages written in a transaction that is open inside the block, and ended at its end: its markers are there."""
    lasting = {"transactional.id": name, "transaction.timeout.ms": 900_000}  # the longest that brokers allow
    producer = Producer({"bootstrap.servers": cluster.bootstrap, **lasting, **QUIET})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    _send(producer, topic, counts)
    yield producer
    before = _ends(cluster, topic, counts)
    producer.commit_transaction(PATIENCE_S)
    # Markers are written once the commit was answered.
    processes.wait_until(lambda: all(now > then for now, then in zip(_ends(cluster, topic, counts), before)), what="the markers")


def _ends(cluster, topic, partitions):
    """Where the partitions end, open transactions included."""
    settings = {"bootstrap.servers": cluster.bootstrap, "group.id": "unused", "isolation.level": "read_uncommitted", **QUIET}
    consumer = Consumer(settings)
    try:
        places = [TopicPartition(topic, partition) for partition in partitions]
        return [consumer.get_watermark_offsets(place, PATIENCE_S)[1] for place in places]
    finally:
        consumer.close()


# A broker that has just started, or just made the offsets topic or the group's, answers so for a moment; and so does
# the client while the coordinator is another one.
NOT_YET = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
)


def _committed(consumer, wanted):
    """False while the coordinator isn't ready."""
    try:
        results = consumer.commit(offsets=wanted, asynchronous=False)
    except KafkaException as refused:
        if refused.args[0].code() in NOT_YET:
            return False
        raise
    for result in results:
        assert result.error is None, result.error
    return True


def commit(cluster, group, topic, offsets):
    """Commits {partition: offset} for a group that assigns by hand and so has no members."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group, **QUIET})
    try:
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        processes.wait_until(lambda: _committed(consumer, wanted), what="the group's coordinator")
    finally:
        consumer.close()


def records(cluster, topic):
    """All records that a topic has now; those of a partition in their order."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "unused", "enable.partition.eof": "true", **QUIET})
    try:
        numbers = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
        partitions = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers]
        # Where others keep writing, the end that the client tells of runs away.
        ends = {partition.partition: consumer.get_watermark_offsets(partition, PATIENCE_S)[1] for partition in partitions}
        consumer.assign(partitions)
        while ends:
            record = consumer.poll(PATIENCE_S)
            assert record is not None, f"no answer within {PATIENCE_S} s"
            partition, error = record.partition(), record.error()
            assert error is None or error.code() == KafkaError._PARTITION_EOF, error
            if error is None and record.offset() < ends.get(partition, 0):
                yield record
            # Told of the end: the last offset may be no record's, but a transaction's marker or compacted.
            if error is not None or record.offset() >= ends.get(partition, 0) - 1:
                ends.pop(partition, None)
    finally:
        consumer.close()


@contextmanager
def members(cluster, group, topics, count=1, **config):
    """`count` live members of a group, assigned and idle: they read and commit nothing unless told to."""
    consumers = [
        Consumer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "group.id": group,
                "client.id": f"member-{number}",
                "enable.auto.commit": "false",
                "auto.offset.reset": "earliest",
                "heartbeat.interval.ms": "200",
                **QUIET,
                **_dotted(config),
            }
        )
        for number in range(count)
    ]
    assigned = {}
    try:
        for number, consumer in enumerate(consumers):
            consumer.subscribe(
                topics,
                on_assign=lambda _, partitions, number=number: assigned.__setitem__(number, partitions),
                on_revoke=lambda *_, number=number: assigned.pop(number, None),
            )

        def complete():
            for consumer in consumers:
                consumer.poll(0.02)
            return len(assigned) == count

        processes.wait_until(complete, what=f"the assignment of group {group}", pause=0)
        yield consumers
    finally:
        for consumer in consumers:
            consumer.close()


# A broker that has just come back, and that its controller (of ZooKeeper's time) has told of no topics yet, says that
# there are none; a producer then sends nothing.
NOT_SENT = (KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class Load:
    """
    with Load(cluster, topic, partitions, group) as load: …

    Inside the block every partition of the topic is written to and read by a group, all the time. `acknowledged` and
    `sent` bound the partitions' ends: by what brokers have said to hold, and by what was given out for writing.
    """

    def __init__(self, cluster, topic, partitions, group):
        self.topic, self.group = topic, group
        self.acknowledged, self.sent = [0] * partitions, [0] * partitions
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": "true", **QUIET})
        self.reader = Consumer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "group.id": group,
                "auto.commit.interval.ms": "200",
                "auto.offset.reset": "earliest",
                **QUIET,
            }
        )
        self.reader.subscribe([topic])
        self.failures, self.unsent, self.ended = [], [], threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE_S)
            if thread.is_alive():  # librdkafka may never end a client whose cluster is gone
                self.failures.append(f"{thread.name} did not end")
        assert not self.failures, self.failures

    def _delivered(self, error, message):
        if error is None:
            self.acknowledged[message.partition()] = message.offset() + 1
        elif error.code() in NOT_SENT:
            self.unsent.append(message.partition())
        else:
            self.failures.append(error)

    def _send(self):
        """Messages to the partitions in `unsent`, which are left there if they can't be sent now."""
        waiting, self.unsent = self.unsent, []
        for partition in waiting:
            try:
                self.producer.produce(self.topic, b"x", partition=partition, on_delivery=self._delivered)
            except KafkaException as refused:
                if refused.args[0].code() not in NOT_SENT:
                    raise
                self.unsent.append(partition)

    def _write(self):
        while not self.ended.wait(0.05):
            for partition in range(len(self.sent)):
                self.sent[partition] += 1
                self.unsent.append(partition)
            self._send()
            self.producer.poll(0)
        deadline = time.monotonic() + PATIENCE_S
        while (self.producer.flush(1) > 0 or self.unsent) and time.monotonic() < deadline:
            self._send()
        if len(self.producer) > 0 or self.unsent:
            self.failures.append(f"messages were not delivered within {PATIENCE_S} s")

    def _read(self):
        while not self.ended.is_set():
            self.reader.consume(1000, 0.1)
        self.reader.close()


def _dotted(config):
    """Settings given as keyword arguments, with underscores for dots."""
    return {key.replace("_", "."): value for key, value in config.items()}
