"""The two kinds of source that every scenario is played on, behind one interface: topics, messages with known
times, and groups whose members are processes."""

import json
import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

import daemon
import kafka_traffic
import processes
from processes import PATIENCE_S

HERE = Path(__file__).resolve().parent
TICK_S = 0.1


class Reader:
    """A member of a group: a process of its own."""

    def __init__(self, command, behaviour):
        self.output = tempfile.TemporaryFile()
        self.errors = tempfile.TemporaryFile()
        self.process = processes.start(
            [*command, *(f"{name}={value}" for name, value in behaviour.items())],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.errors,
        )

    def done(self):
        """(partition, offset) of each message that it has read and committed, in order."""
        lines = os.pread(self.output.fileno(), 1 << 24, 0).decode().split("\n")[:-1]
        return [tuple(int(part) for part in line.split()) for line in lines]

    def leave(self):
        """It says goodbye to its group and ends."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        self.check()

    def check(self):
        """Raises its own last words if it has failed: no page would ever show why."""
        if self.process.poll():
            words = os.pread(self.errors.fileno(), 1 << 16, 0).decode(errors="replace")
            raise RuntimeError(f"a reader ended with exit code {self.process.returncode}:\n{words}")

    def close(self):
        self.process.kill()
        self.process.wait()


class Source:
    """What both have in common. `written[topic][partition]` are the times of all messages, by offset."""

    def __init__(self, name):
        self.name = name  # of the story: it makes names of topics and groups that no other story has
        self.written = {}
        self.readers = []

    def close(self):
        for reader in self.readers:
            reader.close()

    def topic(self, partitions=1, **config):
        """Makes the story's topic."""
        self.written[self.name] = {partition: [] for partition in range(partitions)}
        self._create(partitions, config)

    def produce(self, counts, age_s=0, key=None):
        """Writes counts[partition] messages to each partition (a dict), as if that had been age_s ago."""
        written = time.time() - age_s
        for partition, count in counts.items():
            for _ in range(count):
                self._append(partition, int(written * 1000), key and key(len(self.written[self.name][partition])))
                self.written[self.name][partition].append(written)
        self._flush()

    def end(self, partition=0):
        """The partition's end offset."""
        return len(self.written[self.name][partition])

    @contextmanager
    def traffic(self, counts, key=None):
        """While the block runs, counts[partition] messages are written ten times a second."""
        ended = threading.Event()
        failures = []

        def write():
            try:
                while not ended.wait(TICK_S):
                    self.produce(counts, key=key)
            except Exception as failure:
                failures.append(failure)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not failures, failures

    def reader(self, **behaviour):
        """Starts a member of the story's group."""
        reader = Reader(self._reader_command(), behaviour)
        self.readers.append(reader)
        return reader

    def watch(self, *rules):
        """The daemon, which looks at this story only, five times a second."""
        return Watch(self, rules)


class LogStore(Source):
    """The bundled log store in a folder."""

    kind = "logstore"

    def __init__(self, name, folder):
        super().__init__(name)
        self.address = folder / "store"
        self.appender = None
        self.lock = threading.Lock()

    def close(self):
        super().close()
        if self.appender:
            self.appender.stdin.close()
            self.appender.wait(PATIENCE_S)

    def _log(self, verb, *arguments, **config):
        """What `tidemark log` prints."""
        settings = [part for key, value in config.items() for part in ("--config", f"{key.replace('_', '.')}={value}")]
        code, output, errors = daemon.run("log", verb, self.address, self.name, *arguments, *settings)
        assert code == 0, errors
        return output

    def _create(self, partitions, config):
        self._log("create", "--partitions", partitions, **config)
        self.appender = processes.start(
            [daemon.PROGRAM, "log", "append", self.address, self.name, "--json", "--fsync", "never"], stdin=subprocess.PIPE
        )

    def _append(self, partition, time_ms, key):
        line = {"value": "x" * 100, "partition": partition, "timestamp": time_ms}
        if key is not None:
            line["key"] = key
        self.appender.stdin.write(json.dumps(line).encode() + b"\n")

    def _flush(self):
        self.appender.stdin.flush()

    def _reader_command(self):
        return [Path(daemon.PROGRAM).parent / "tests/scenarios/logstore_reader", self.address, self.name, self.name]

    def alter(self, **config):
        """These are the topic's settings from now on; an underscore stands for a dot."""
        self._log("alter", **config)

    def set_offsets(self, offsets):
        """Sets the committed offsets of the story's group, {partition: offset}, while it has no members."""
        for partition, offset in offsets.items():
            self._log("commit", self.name, partition, offset)

    def clean(self):
        """Has the log looked after, which a broker does by itself."""
        for verb in ("retain", "compact"):
            self._log(verb)

    def count(self):
        """How many messages are still there."""
        return self._log("read").count(b"\n")

    def generation(self):
        """How often the group has begun anew."""
        _, output, _ = daemon.run("log", "groups", self.address, self.name, "--json")
        return json.loads(output.splitlines()[0])["generation"]

    def configuration(self):
        return {"name": self.kind, "logstore": str(self.address)}


class Kafka(Source):
    """A real broker, which all stories share."""

    kind = "kafka"

    def __init__(self, name, cluster):
        super().__init__(name)
        self.cluster = cluster
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0, "linger.ms": 5})

    def _create(self, partitions, config):
        self.cluster.create_topic(self.name, partitions, **config)

    def _append(self, partition, time_ms, key):
        self.producer.produce(self.name, b"x" * 100, key=key, partition=partition, timestamp=time_ms)

    def _flush(self):
        assert self.producer.flush(PATIENCE_S) == 0

    def _reader_command(self):
        return [sys.executable, HERE / "kafka_reader.py", self.cluster.bootstrap, self.name, self.name]

    def alter(self, **config):
        self.cluster.alter_topic(self.name, **config)

    def set_offsets(self, offsets):
        kafka_traffic.commit(self.cluster, self.name, self.name, offsets)

    def clean(self):
        """Brokers look after their logs by themselves."""

    def count(self):
        return sum(1 for _ in kafka_traffic.records(self.cluster, self.name))

    def generation(self):
        """As the group's coordinator last wrote it (GroupMetadataValue: version, type of protocol, generation …)."""
        key = struct.pack(">hh", 2, len(self.name)) + self.name.encode()
        value = [record.value() for record in kafka_traffic.records(self.cluster, "__consumer_offsets") if record.key() == key][-1]
        _, length = struct.unpack_from(">hh", value)
        return struct.unpack_from(">i", value, 4 + length)[0]

    def configuration(self):
        return {"name": self.kind, "kafka": self.cluster.bootstrap}


class Watch(daemon.Daemon):
    """The daemon on a story's source, and questions to its page about the story's only group."""

    def __init__(self, source, rules):
        self.source = source
        self.folder = tempfile.TemporaryDirectory(prefix="tidemark-watch-")
        file, self.record = (Path(self.folder.name) / name for name in ("tidemark.json", "record.jsonl"))
        only = {"include": [source.name]}
        file.write_text(json.dumps({"sources": [{**source.configuration(), "topics": only, "groups": only}]}))
        flags = [part for rule in rules for part in ("--rule", rule)]
        super().__init__("--config", file, "--record", self.record, *flags)

    def __exit__(self, *failure):
        super().__exit__(*failure)
        self.folder.cleanup()

    def page(self):
        """The metrics as they are now, as long as nobody of the story has failed."""
        for reader in self.source.readers:
            reader.check()
        return super().page()

    def time(self, page):
        """When the page was rendered."""
        return page.by("tidemark_page_timestamp_seconds")[()]

    def polls(self):
        """All polls until now, as they were recorded: pages may pass unseen."""
        whole = self.record.read_bytes().rpartition(b"\n")[0] if self.record.exists() else b""
        return [json.loads(line) for line in whole.splitlines()]

    def wait_for_polls(self, count):
        """So many more."""
        before = len(self.polls())
        processes.wait_until(lambda: len(self.polls()) >= before + count, what=f"{count} polls")

    def polled(self, page):
        """When the cluster was as the page shows it, which may be a while ago on a busy machine."""
        published = page.by("tidemark_source_last_success_timestamp_seconds")[()]
        return [poll["t"] for poll in self.polls() if poll["t"] <= published][-1]

    def first_unread(self, committed, partition=0):
        """When the first poll saw the group before messages that it hasn't read, at this offset."""

        def waits(poll):
            ends = [place.get("end", -1) for topic in poll["topics"] for place in topic["partitions"] if place["partition"] == partition]
            places = [place for group in poll["groups"] for place in group["offsets"] if place["partition"] == partition]
            return [place["committed"] for place in places] == [committed] and ends > [committed]

        return next(poll["t"] for poll in self.polls() if waits(poll))

    def _where(self, page, name, partition=None):
        """The labels that this metric of the story has."""
        where = {"cluster": self.source.kind, "consumergroup": self.source.name}
        families = [labels for labels, _ in page.family(name)]
        if families and "topic" in families[0]:
            where["topic"] = self.source.name
        if partition is not None:
            where["partition"] = str(partition)
        return where

    def value(self, page, name, partition=None):
        """The value of kafka_consumergroup_NAME as a number; None where there is no such series."""
        name = f"kafka_consumergroup_{name}"
        text = page.get_text(name, **self._where(page, name, partition))
        return None if text is None else float(text)

    def is_within(self, page, name, least=-math.inf, most=math.inf, partition=None):
        """Whether the value of kafka_consumergroup_NAME is in this range. In a poll that could not find it out it isn't."""
        value = self.value(page, name, partition)
        return value is not None and least <= value <= most

    def on_partition(self, page, name, partition=0):
        """The value of kafka_topic_partition_NAME."""
        where = {"cluster": self.source.kind, "topic": self.source.name, "partition": str(partition)}
        return page.get_int(f"kafka_topic_partition_{name}", **where)

    def conditions(self, page):
        """{condition: [(topic, partition, since)]} of the story's group."""
        found = {
            labels["condition"]: []
            for labels, value in page.family("kafka_consumergroup_condition")
            if value == "1" and labels["consumergroup"] == self.source.name
        }
        for labels, value in page.family("kafka_consumergroup_condition_since_timestamp_seconds"):
            if labels["consumergroup"] == self.source.name:
                found[labels["condition"]].append((labels["topic"], labels["partition"], float(value)))
        return found

    def is_judged(self, page):
        """Whether the group's conditions are known. In a poll that could not find out its commits they aren't."""
        return any(labels["consumergroup"] == self.source.name for labels, _ in page.family("kafka_consumergroup_condition"))

    def when(self, *conditions):
        """The first page on which the group has these conditions."""
        return self.page_when(lambda page: set(conditions) <= set(self.conditions(page)))

    def when_not(self, *conditions):
        """The first page on which the group has none of these conditions."""
        return self.page_when(lambda page: self.is_judged(page) and not set(conditions) & set(self.conditions(page)))

    def when_moved(self, times=1):
        """The page once the group has been seen to move so many times."""
        seen = set()

        def moved(page):
            seen.add(self.value(page, "current_offset_sum"))
            return len(seen - {None}) > times

        return self.page_when(moved)

    def when_known(self):
        """The page once the group's habits are known: it has been seen to move often enough."""
        return self.when_moved(times=25)

    def when_read(self):
        """The first page on which the group has read everything."""

        def read(page):
            ends = [self.source.end(partition) for partition in self.source.written[self.source.name]]
            return self.value(page, "lag_sum") == 0 and self.value(page, "current_offset_sum") == sum(ends)

        return self.page_when(read)
