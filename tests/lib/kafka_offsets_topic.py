"""__consumer_offsets, where group coordinators keep what they know: who reads it, and what stands there."""

import json
import struct

from confluent_kafka import Producer

from kafka_traffic import QUIET
from processes import PATIENCE_S, wait_until

FOLLOWED = "the topic __consumer_offsets is followed"


def offsets_from(daemon):
    """What the daemon says of its first source, among it how commits are learnt and why."""
    return json.loads(daemon.get("/api/v1/clusters"))["clusters"][0]


def wait_following(daemon):
    wait_until(lambda: offsets_from(daemon).get("offsets_because") == FOLLOWED, what="that the topic is followed")


def write_record(kafka, partition, key, value):
    """Writes to the internal topic what no coordinator would; brokers take it from a client of this name only."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "client.id": "__admin_client", **QUIET})
    failures = []
    producer.produce(
        "__consumer_offsets", key=key, value=value, partition=partition, on_delivery=lambda failure, _: failures.append(failure)
    )
    assert producer.flush(PATIENCE_S) == 0 and failures == [None], failures


def java_hash(text):
    value = 0
    for unit in struct.unpack(f"<{len(text)}H", text.encode("utf-16-le")):
        value = (31 * value + unit) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


def partition_of(kafka, group):
    return java_hash(group) % len(kafka.admin().list_topics("__consumer_offsets", PATIENCE_S).topics["__consumer_offsets"].partitions)


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def commit_key(group, topic, partition):
    return struct.pack(">h", 1) + string(group) + string(topic) + struct.pack(">i", partition)


def commit_value(offset):
    return struct.pack(">hqi", 3, offset, -1) + string("") + struct.pack(">q", 1_700_000_000_000)
