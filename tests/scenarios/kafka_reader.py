#!/usr/bin/python3
"""A member of a group on Kafka, as tests/scenarios/logstore_reader.c is one on the bundled log store:

    kafka_reader.py BOOTSTRAP GROUP TOPIC [NAME=VALUE…]

    pause_ms      after each record
    choke_at      partition 0 has at this offset a record that it fails on, again and again
    stall_every   after so many records comes one that takes it stall_ms
    session_ms, max_poll_ms     its promises to the group

It commits after each record, prints "PARTITION OFFSET" of each that it is done with, and leaves at SIGTERM.
"""

import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

# The group has gone on without this member; or the broker isn't ready. Both pass; and so does that it does not know yet of a topic that was just made.
PASSING = {
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
    KafkaError._TIMED_OUT,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


def commit(consumer, message):
    """False when the group has gone on without this member."""
    try:
        consumer.commit(message=message, asynchronous=False)
    except KafkaException as refused:
        if refused.args[0].code() not in PASSING:
            raise
        return False
    return True


def main():
    bootstrap, group, topic, *rest = sys.argv[1:]
    behaviour = {"pause_ms": 0, "choke_at": -1, "stall_every": 0, "stall_ms": 0, "session_ms": 6000, "max_poll_ms": 60000}
    for argument in rest:
        name, value = argument.split("=")
        assert name in behaviour, name
        behaviour[name] = int(value)
    asked_to_leave = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_leave.append(True))
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "client.id": "scenario",
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": behaviour["session_ms"],
            "max.poll.interval.ms": behaviour["max_poll_ms"],
            "heartbeat.interval.ms": "200",
            "fetch.wait.max.ms": "50",
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    number = 0
    while not asked_to_leave:
        message = consumer.poll(0.02)
        if message is None:
            continue
        if message.error():
            assert message.error().code() in PASSING or message.error().retriable(), message.error()
            continue
        number += 1
        if 0 <= behaviour["choke_at"] <= message.offset() and message.partition() == 0:
            time.sleep(0.05)
            consumer.seek(TopicPartition(topic, 0, message.offset()))
            continue
        time.sleep(behaviour["pause_ms"] / 1000)
        if behaviour["stall_every"] and number % behaviour["stall_every"] == 0:
            time.sleep(behaviour["stall_ms"] / 1000)
        if commit(consumer, message):
            print(message.partition(), message.offset(), flush=True)
    consumer.close()


if __name__ == "__main__":
    main()
