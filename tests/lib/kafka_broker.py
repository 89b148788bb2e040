"""A real Kafka cluster on loopback ports, for as long as a test needs it, and Kafka's own tools to ask it."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
import zipfile
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

import processes
from processes import PATIENCE_S

SESSION_TIMEOUT_MS = 6000  # of brokers, with whoever keeps the cluster's metadata

# Small and quick rather than sturdy: one replica, few internal partitions, everything that is done
# "now and then" done often.
SETTINGS = {
    "auto.create.topics.enable": "false",
    "background.threads": "2",
    "broker.heartbeat.interval.ms": "300",
    # A broker that gets no turn for so long, on a busy machine, is taken for dead.
    "broker.session.timeout.ms": str(SESSION_TIMEOUT_MS),
    "controlled.shutdown.enable": "false",
    "group.consumer.max.session.timeout.ms": "900000",
    "group.consumer.session.timeout.ms": "900000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "log.cleaner.backoff.ms": "500",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "500",
    "log.segment.delete.delay.ms": "100",
    "num.io.threads": "4",
    "num.network.threads": "2",
    "offsets.retention.check.interval.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
}

JVM = [
    # ZooKeeper's own page would take port 8080, and where that is taken ZooKeeper ends.
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.4lw.commands.whitelist=dump",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]

Position = namedtuple("Position", "group topic partition committed end lag member")
Member = namedtuple("Member", "group member host client partitions")


def version_of(kafka):
    """Of the folder with the jars: (4, 3, 1)"""
    return tuple(int(part) for part in Path(kafka).name.removeprefix("kafka-").split("."))


def _java(kafka, main, *arguments, heap="128m"):
    return ["java", f"-Xmx{heap}", *JVM, "-cp", f"{kafka}/*", main, *arguments]


class Node:
    """One process of the cluster. It keeps its port and its data over kill() and start()."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.port = processes.free_port()
        self.controller_port = processes.free_port()
        self.more_ports = {name: processes.free_port() for name in cluster.listeners}
        self.folder = cluster.folder / f"node-{number}"
        self.log = cluster.folder / f"node-{number}.log"
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def configure(self, settings):
        """Writes server.properties, and the empty storage where the cluster runs without ZooKeeper."""
        self.settings = settings
        properties = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{self.address}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": self.folder,
            **(self._with_zookeeper() if self.cluster.zookeeper else self._with_quorum()),
            **(self._with_permissions() if self.cluster.permissions else {}),
            **settings,
        }
        self._add_listeners(properties)
        self.properties = self.cluster.folder / f"node-{self.number}.properties"
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        if self.cluster.zookeeper:
            return
        code, output, errors = processes.run(
            _java(self.cluster.kafka, "kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster.id}", "-c", self.properties)
        )
        if code != 0:
            raise RuntimeError(f"Kafka's storage can't be formatted:\n{(output + errors).decode(errors='replace')}")

    def _add_listeners(self, properties):
        for name, protocol in self.cluster.listeners.items():
            for key in ("listeners", "advertised.listeners"):
                properties[key] += f",{name}://{self.address_of(name)}"
            properties["listener.security.protocol.map"] += f",{name}:{protocol}"

    def address_of(self, listener):
        return f"localhost:{self.more_ports[listener]}"

    def _with_quorum(self):
        """The first node is the controller too, so any other can die without taking the quorum along."""
        controller = self.cluster.nodes[0]
        controller_address = f"127.0.0.1:{controller.controller_port}"
        properties = {
            "process.roles": "broker",
            "node.id": self.number,
            "controller.quorum.voters": f"{controller.number}@{controller_address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        }
        if self is controller:
            properties["process.roles"] = "broker,controller"
            properties["listeners"] = f"PLAINTEXT://{self.address},CONTROLLER://{controller_address}"
        return properties

    def _with_zookeeper(self):
        return {
            "broker.id": self.number,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT",
            "zookeeper.connect": f"127.0.0.1:{self.cluster.zookeeper.port}",
            "zookeeper.connection.timeout.ms": 30_000,
            "zookeeper.session.timeout.ms": SESSION_TIMEOUT_MS,
        }

    def _with_permissions(self):
        return {
            "authorizer.class.name": "kafka.security.authorizer.AclAuthorizer"
            if self.cluster.zookeeper
            else "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        }

    def start(self):
        with open(self.log, "ab") as log:
            self.process = processes.start(
                _java(self.cluster.kafka, "kafka.Kafka", self.properties, heap=self.cluster.heap),
                stdout=log,
                stderr=log,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )

    def kill(self):
        """As when the machine loses power, but for what the page cache keeps."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def lose_data(self):
        """As kill(), and its disk is empty when it is started again."""
        self.kill()
        shutil.rmtree(self.folder)
        self.configure(self.settings)

    def pause(self):
        """Connections are accepted (by the kernel) and nothing ever answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class ZooKeeper:
    """What a Kafka from before 3.3 keeps its metadata in."""

    # A session may not be shorter than two ticks, and ends at the end of one.
    TICK_MS = SESSION_TIMEOUT_MS // 6

    def __init__(self, kafka, folder):
        self.port = processes.free_port()
        main, data = "org.apache.zookeeper.server.ZooKeeperServerMain", folder / "zookeeper"
        with open(folder / "zookeeper.log", "wb") as log:
            self.process = processes.start(
                _java(kafka, main, self.port, data, self.TICK_MS), stdout=log, stderr=log
            )

    def forget_the_dead(self, nodes):
        """Nodes that were killed are registered until their sessions end, and until then can't come back."""
        paths = {f"/brokers/ids/{node.number}" for node in nodes}
        processes.wait_until(lambda: not paths & self._registered(), what="the end of the dead nodes' sessions")

    def _registered(self):
        """The paths that end with the session of who made them, by the command `dump`: one a line."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(b"dump")
            with connection.makefile() as answer:
                return {line.strip() for line in answer}


class Running:
    """A cluster that runs already, and an admin client's work there, waited for."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def admin(self):
        """Keep it until its futures are done: what is under way ends with the client."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 500})

    def create_topic(self, name, partitions=1, replicas=1, **config):
        """Settings of the topic are given with underscores for dots: cleanup_policy="compact"."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, partitions, replicas, config=config)
        processes.wait_until(lambda: self._is_created(topic), what=f"that topic {name} can be made")

    def _is_created(self, topic):
        """False while one of that name is still there: with ZooKeeper a topic that was deleted goes a little later."""
        admin = self.admin()
        try:
            admin.create_topics([topic])[topic.topic].result(PATIENCE_S)
        except KafkaException as refused:
            if refused.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def alter_topic(self, name, **config):
        """These are all the settings that the topic has from then on; given as to create_topic()."""
        admin = self.admin()
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        [altered] = admin.alter_configs([ConfigResource("topic", name, set_config=config)]).values()
        altered.result(PATIENCE_S)

    def delete_topic(self, name):
        admin = self.admin()
        admin.delete_topics([name])[name].result(PATIENCE_S)


class Cluster(Running):
    """
    with Cluster(kafka_folder) as cluster: …

    `kafka` is the folder with the jars, named kafka-VERSION. `settings` are added to every node's
    server.properties. With start=False the ports are known, and nothing listens on them until start(). `listeners`
    are further ones, by name: {"SECURE": "SSL"}. With `permissions` ACLs decide who may do what.
    """

    def __init__(self, kafka, nodes=1, settings=None, start=True, heap="400m", listeners=None, permissions=False):
        self.kafka = Path(kafka).resolve()
        self.heap = heap
        self.listeners = listeners or {}
        self.permissions = permissions
        self.folder = Path(tempfile.mkdtemp(prefix="tidemark-kafka-"))
        self.id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]
        self.zookeeper = None
        try:
            if self.version < (3, 3):
                self.zookeeper = ZooKeeper(self.kafka, self.folder)
            for node in self.nodes:
                node.configure(settings or {})
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def bootstrap(self):
        return ",".join(node.address for node in self.nodes)

    @property
    def version(self):
        return version_of(self.kafka)

    def start(self):
        """Starts the nodes that aren't running and waits until the cluster lists all of them."""
        dead = [node for node in self.nodes if node.process is None]
        if self.zookeeper and any(node.log.exists() for node in dead):
            self.zookeeper.forget_the_dead(dead)
        for node in dead:
            node.start()
        self.wait_ready()

    def wait_ready(self):
        admin = self.admin()

        def ready():
            for node in self.nodes:
                if node.process is not None and node.process.poll() is not None:
                    raise RuntimeError(f"Kafka's node {node.number} ended:\n{node.log.read_text(errors='replace')}")
            try:
                known = admin.list_topics(timeout=1).brokers
            except KafkaException:
                return False
            return set(known) == {node.number for node in self.nodes if node.process is not None}

        processes.wait_until(ready, what="an answer of the Kafka cluster")

    def close(self):
        for node in self.nodes:
            node.kill()
        if self.zookeeper:
            self.zookeeper.process.kill()
            self.zookeeper.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- Kafka's own tools ---------------------------------------------------------------------------------

    def tool(self, names, *arguments):
        """Standard output of the first of the classes `names` that this version of Kafka has."""
        name = next(name for name in names if self._has_class(name))
        code, output, errors = processes.run(_java(self.kafka, name, "--bootstrap-server", self.bootstrap, *arguments))
        text = output.decode()
        if code != 0 or re.search(r"^Error:", text, re.M):
            raise RuntimeError(f"{name} {' '.join(arguments)} failed:\n{text}{errors.decode(errors='replace')}")
        return text

    @contextmanager
    def console_consumer(self, topic, group):
        """Kafka's own consumer, of the new protocol (KIP-848), which reads all and commits it."""
        properties = self.folder / f"consumer-{uuid.uuid4()}.properties"
        properties.write_text("group.protocol=consumer\nauto.offset.reset=earliest\nauto.commit.interval.ms=200\n")
        arguments = ["--topic", topic, "--group", group, "--consumer.config", properties]
        process = processes.start(
            _java(self.kafka, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.bootstrap, *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def _has_class(self, name):
        entry = name.replace(".", "/") + ".class"
        for jar in [*self.kafka.glob("kafka-tools-*.jar"), *self.kafka.glob("kafka_*.jar")]:
            with zipfile.ZipFile(jar) as content:
                if entry in content.namelist():
                    return True
        return False

    def describe_groups(self):
        """What `kafka-consumer-groups --describe --all-groups` says, as a set of Position; None for its "-".
        Names must be free of white space: the tool's columns are."""
        rows = self._groups_tool("--offsets")
        return {
            Position(row[0], row[1], int(row[2]), _number(row[3]), _number(row[4]), _number(row[5]), row[6])
            for row in rows
            if row[2] != "-"
        }

    def describe_members(self):
        """What `kafka-consumer-groups --describe --all-groups --members` says, as a set of Member."""
        # A static member's instance id stands in a column that is there only where a group has such a member.
        return {Member(*row[:2], *row[-3:-1], int(row[-1])) for row in self._groups_tool("--members")}

    def _groups_tool(self, what):
        text = self.tool(
            ["org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "kafka.admin.ConsumerGroupCommand"],
            "--describe",
            "--all-groups",
            what,
        )
        rows = [line.split() for line in text.splitlines() if line.strip()]
        return [row for row in rows if row[0] != "GROUP" and row[:2] != ["Consumer", "group"]]


def _number(text):
    return None if text == "-" else int(text)
