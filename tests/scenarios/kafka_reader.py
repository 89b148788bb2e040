#!/usr/bin/python3
"""A member of a group on Kafka, as tests/scenarios/logstore_reader.c is one on the bundled log store:

    kafka_reader.py BOOTSTRAP GROUP TOPIC [NAME=VALUE…]

    pause_ms      after each record
    choke_at      partition 0 has at this offset a record that it fails on, again and again
    stall_every   after so many records comes one that takes it stall_ms
    session_ms, max_poll_ms     its promises to the group

It commits after each record, prints "PARTITION OFFSET" of each that it is done with, and leaves at SIGTERM.
"""

import os
import signal
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

# The group has gone on without this member; or the broker isn't ready. Both pass; and so does that it does not know yet of a topic that was just made.
PASSING = {
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
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


# After which one goes that doesn't get away. A client may wait for itself for ever when it is closed in a rebalance:
# https://github.com/confluentinc/librdkafka/issues/4884
LEAVING_S = 60


def wait_to_leave(asked_to_leave):
    signal.sigwait({signal.SIGTERM})
    asked_to_leave.set()
    time.sleep(LEAVING_S)
    os._exit(0)


def main():
    bootstrap, group, topic, *rest = sys.argv[1:]
    behaviour = {"pause_ms": 0, "choke_at": -1, "stall_every": 0, "stall_ms": 0, "session_ms": 45000, "max_poll_ms": 60000}
    for argument in rest:
        name, value = argument.split("=")
        assert name in behaviour, name
        behaviour[name] = int(value)
    asked_to_leave = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=wait_to_leave, args=(asked_to_leave,), daemon=True).start()
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
    while not asked_to_leave.is_set():
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
