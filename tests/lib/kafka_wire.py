"""A few requests of Kafka's protocol written by hand, for what the clients can't or won't send: names that are no
UTF-8, commits without a consumer, deleting records.

Where there are versions of before flexible encoding (KIP-482) they are used, so a request is big-endian integers,
strings with an int16 length and arrays with an int32 count. Names are bytes. https://kafka.apache.org/protocol
"""

import socket
import struct
import time

from processes import PATIENCE_S

PRODUCE, OFFSET_COMMIT, FIND_COORDINATOR, DELETE_RECORDS = 0, 8, 10, 21
CONSUMER_GROUP_HEARTBEAT, CONSUMER_GROUP_DESCRIBE = 68, 69

# Errors that pass: the coordinator is loading, not there yet, or somewhere else; so are the topic and its leader.
_TRANSIENT = {3, 5, 6, 14, 15, 16}


class KafkaError(Exception):
    def __init__(self, code, doing):
        super().__init__(f"{doing}: Kafka's error code {code}")
        self.code = code


def _string(name):
    return struct.pack(">h", len(name)) + name


def _request(address, key, version, body):
    """Sends a request and returns the response's bytes after the correlation id."""
    host, port = address.rsplit(":", 1)
    header = struct.pack(">hhi", key, version, 1) + _string(b"tidemark-tests")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        with connection.makefile("rb") as answer:
            (length,) = struct.unpack(">i", _exactly(answer, 4))
            return _exactly(answer, length)[4:]


def _exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise ConnectionError("the broker closed the connection instead of answering: it didn't like the request")
    return data


def _retried(attempt):
    """`attempt` returns an error code, 0 for success; those that pass are tried again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        code = attempt()
        if code == 0:
            return
        if code not in _TRANSIENT or time.monotonic() > deadline:
            raise KafkaError(code, attempt.__doc__)
        time.sleep(0.1)


def _coordinator(addresses, group):
    """The address of the group's coordinator, which this call also makes exist."""
    found = None

    def find():
        """find the coordinator"""
        nonlocal found
        answer = _request(addresses.split(",")[0], FIND_COORDINATOR, 1, _string(group) + b"\0")
        code, message = struct.unpack_from(">hh", answer, 4)
        rest = answer[8 + max(message, 0) :]
        _, host_length = struct.unpack_from(">ih", rest)
        host = rest[6 : 6 + host_length].decode()
        (port,) = struct.unpack_from(">i", rest, 6 + host_length)
        found = f"{host}:{port}"
        return code

    _retried(find)
    return found


def commit(addresses, group, topic, offsets, metadata=b""):
    """Commits {partition: offset} as a group without members does. Names are bytes, of any kind."""
    partitions = b"".join(
        struct.pack(">iq", partition, offset) + _string(metadata) for partition, offset in offsets.items()
    )
    body = _string(group) + struct.pack(">i", -1) + _string(b"") + struct.pack(">q", -1)
    body += struct.pack(">i", 1) + _string(topic) + struct.pack(">i", len(offsets)) + partitions
    coordinator = _coordinator(addresses, group)

    def attempt():
        """commit offsets"""
        answer = _request(coordinator, OFFSET_COMMIT, 2, body)
        start = 4 + 2 + len(topic) + 4
        codes = [struct.unpack_from(">ih", answer, start + 6 * index)[1] for index in range(len(offsets))]
        return next((code for code in codes if code != 0), 0)

    _retried(attempt)


def delete_records(addresses, topic, before):
    """Deletes what lies before {partition: offset}, as `kafka-delete-records` does. On a cluster of one node."""
    partitions = b"".join(struct.pack(">iq", partition, offset) for partition, offset in before.items())
    body = struct.pack(">i", 1) + _string(topic) + struct.pack(">i", len(before)) + partitions
    body += struct.pack(">i", 10_000)

    def attempt():
        """delete records"""
        answer = _request(addresses.split(",")[0], DELETE_RECORDS, 0, body)
        start = 4 + 4 + 2 + len(topic) + 4
        codes = [struct.unpack_from(">iqh", answer, start + 14 * index)[2] for index in range(len(before))]
        return next((code for code in codes if code != 0), 0)

    _retried(attempt)


def _crc32c(data):
    """Castagnoli's, as batches of records have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _batch(timestamp):
    """A batch with one record, without a key, of the value "x"; https://kafka.apache.org/documentation/#recordbatch"""
    record = b"\0\0\0\x01\x02x\0"  # attributes, two deltas, no key, one byte of value, no headers
    record = bytes([2 * len(record)]) + record
    checked = struct.pack(">hiqqqhii", 0, 0, timestamp, timestamp, -1, -1, -1, 1) + record
    rest = struct.pack(">iBI", -1, 2, _crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def produce(addresses, topic, timestamp):
    """Writes one record with any timestamp (milliseconds) to partition 0. On a cluster of one node."""
    batch = _batch(timestamp)
    body = struct.pack(">hhii", -1, -1, 10_000, 1) + _string(topic) + struct.pack(">iii", 1, 0, len(batch)) + batch

    def attempt():
        """produce"""
        answer = _request(addresses.split(",")[0], PRODUCE, 3, body)
        return struct.unpack_from(">h", answer, 4 + 2 + len(topic) + 4 + 4)[0]

    _retried(attempt)


def _compact(name):
    """A string as flexible versions have it; None for null."""
    return b"\0" if name is None else varint(len(name) + 1) + name


def varint(value):
    """Unsigned, seven bits a byte."""
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def group_epoch(addresses, group):
    """Of a group of the new protocol (KIP-848), as the broker says."""
    body = b"\0" + varint(2) + _compact(group) + b"\0\0"
    answer = _request(_coordinator(addresses, group), CONSUMER_GROUP_DESCRIBE, 0, body)
    code, at = struct.unpack_from(">h", answer, 6)[0], 9  # before: tags, throttling, one group; then no message
    if code != 0:
        raise KafkaError(code, "describe a group")
    for _ in ("its name", "its state"):
        at += answer[at]
    return struct.unpack_from(">i", answer, at)[0]


class Member:
    """A member of a group of the new protocol (KIP-848) that only says that it is there."""

    JOIN, LEAVE, LEAVE_FOR_A_WHILE = 0, -1, -2

    def __init__(self, addresses, group, topics, instance=None, rebalance_timeout_ms=60_000):
        self.addresses, self.group, self.topics, self.instance = addresses, group, topics, instance
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.id = b""

    def join(self):
        self._heartbeat(self.JOIN)

    def leave(self):
        """A static member (KIP-345) that leaves for a while keeps what it was assigned."""
        self._heartbeat(self.LEAVE_FOR_A_WHILE if self.instance else self.LEAVE)

    def _heartbeat(self, epoch):
        topics = varint(len(self.topics) + 1) + b"".join(map(_compact, self.topics)) if epoch == self.JOIN else b"\0"
        body = b"\0" + _compact(self.group) + _compact(self.id) + struct.pack(">i", epoch) + _compact(self.instance)
        body += _compact(None) + struct.pack(">i", self.rebalance_timeout_ms) + topics + _compact(None)
        body += (b"\x01" if epoch == self.JOIN else b"\0") + b"\0"
        coordinator = _coordinator(self.addresses, self.group)

        def attempt():
            """heartbeat"""
            answer = _request(coordinator, CONSUMER_GROUP_HEARTBEAT, 0, body)
            (code,) = struct.unpack_from(">h", answer, 5)
            if code == 0:  # no message; then the member's id
                self.id = answer[9 : 9 + answer[8] - 1]
            return code

        _retried(attempt)
