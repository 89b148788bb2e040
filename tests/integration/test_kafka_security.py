"""A cluster with TLS, client certificates, passwords and permissions; and `tidemark check`, which says what is wrong."""

import base64
import json
import os
import socket
import threading
import time

import confluent_kafka
import pytest

import processes
from conftest import kafka_jars
from daemon import Daemon
from kafka_broker import Cluster
from kafka_security import KEY_PASSWORD, LISTENERS, SCRAM_USER, USERS, Certificates, add_scram_user, allow, grant_all, restore, revoke
from kafka_traffic import commit, produce

WHERE = {"cluster": "secure", "consumergroup": "billing", "topic": "orders", "partition": "0"}
ENOUGH = "60s"  # for who answers, on a busy machine; who doesn't isn't waited for so long


@pytest.fixture(scope="module")
def certificates():
    made = Certificates()
    yield made
    made.close()


@pytest.fixture(scope="module")
def secure(certificates):
    """A broker with all listeners and users, and a topic with a lag of 7."""
    with Cluster(kafka_jars(), settings=certificates.broker_settings(), listeners=LISTENERS, permissions=True) as cluster:
        add_scram_user(cluster)
        grant_all(cluster)
        cluster.create_topic("orders", 1)
        produce(cluster, "orders", {0: 10})
        commit(cluster, "billing", "orders", {0: 3})
        yield cluster


def properties(certificates, listener, user="watcher", password=None, mechanism="PLAIN", **more):
    protocol = LISTENERS[listener]
    found = {"security.protocol": protocol}
    if "SSL" in protocol:
        found["ssl.ca.location"] = str(certificates.path("ca.crt"))
    if "SASL" in protocol:
        found |= {
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password or USERS.get(user, "tide")
        }
    return found | {key.replace("_", "."): str(value) for key, value in more.items()}


def configuration(folder, address, properties=None, timeout="3s", **settings):
    path = folder / "config.json"
    source = {"name": "secure", "kafka": address, "properties": properties or {}, "timeout": timeout, **settings}
    path.write_text(json.dumps({"sources": [source], "poll_interval": "500ms"}))
    return path


def check(folder, address, properties=None, timeout="3s"):
    """(exit code, what was printed)"""
    code, output, errors = processes.run(
        [os.environ["TIDEMARK"], "check", "--config", configuration(folder, address, properties, timeout)]
    )
    return code, (output + errors).decode()


def lag_is(lag):
    return lambda page: page.get_int("kafka_consumergroup_lag", **WHERE) == lag


# --- it works --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listener, options",
    [
        ("TLS", {}),
        ("MTLS", {"certificate": True}),
        ("PASSWORD", {"user": "admin"}),
        ("BOTH", {"user": "admin"}),
    ],
)
def test_lag_is_seen_through_encryption_and_passwords(secure, certificates, tmp_path, listener, options):
    """The same lag, whichever way leads to it; the password is nowhere to be seen."""
    options = dict(options)
    if options.pop("certificate", False):
        options |= {
            "ssl_certificate_location": certificates.path("client.crt"), "ssl_key_location": certificates.path("client.key")
        }
    address = secure.nodes[0].address_of(listener)
    found = properties(certificates, listener, **options)
    with Daemon("--config", configuration(tmp_path, address, found)) as daemon:
        daemon.page_when(lag_is(7))
        page = daemon.get("/metrics").decode()
        logged = daemon.logged()
    code, printed = check(tmp_path, address, found, ENOUGH)
    assert code == 0, printed
    assert "observed: " in printed
    for text in (page, printed, logged):
        assert "moon" not in text and '"tide"' not in text


@pytest.mark.parametrize("listener", ["PASSWORD", "BOTH"])
def test_scram(secure, certificates, tmp_path, listener):
    """Kafka 4 refuses what librdkafka before 2.6.1 answers to a challenge: then check says so."""
    found = properties(certificates, listener, user="scrambled", mechanism="SCRAM-SHA-256")
    code, printed = check(tmp_path, secure.nodes[0].address_of(listener), found)
    if secure.version < (4,) or confluent_kafka.libversion()[1] >= 0x020601FF:
        assert code == 0, printed
    else:
        assert code == 1 and "SCRAM needs librdkafka 2.6.1" in printed


def lag_is_shown(daemon):
    return lag_is(7)(daemon.page())


def password_is_refused(daemon):
    return "uthentication failed" in daemon.logged()


@pytest.mark.once
@pytest.mark.parametrize(
    "listener, credentials, ends",
    [
        ("PASSWORD", {"user": "admin", "password": "moon"}, lag_is_shown),
        ("BOTH", {"user": SCRAM_USER, "password": "wrong-one", "mechanism": "SCRAM-SHA-256"}, password_is_refused),
        ("MTLS", {"ssl_key_password": KEY_PASSWORD}, lag_is_shown),
    ],
)
def test_a_client_that_is_asked_to_tell_all_tells_no_secret(secure, certificates, tmp_path, listener, credentials, ends):
    """With the property `debug` the daemon's log holds what librdkafka does: its configuration, and how it logs on."""
    found = properties(certificates, listener, **credentials, debug="all")
    if listener == "MTLS":
        found["ssl.certificate.location"] = str(certificates.path("client.crt"))
        found["ssl.key.location"] = str(certificates.path("client.p8"))
    with Daemon("--config", configuration(tmp_path, secure.nodes[0].address_of(listener), found)) as daemon:
        processes.wait_until(lambda: ends(daemon), what="that it logs on or is refused")
        page, logged = daemon.get("/metrics").decode(), daemon.logged()
    secret = credentials.get("password", KEY_PASSWORD)
    told = base64.b64encode(f"\0{credentials.get('user')}\0{secret}".encode()).decode()  # as SASL PLAIN sends it
    assert "password = [redacted]" in logged and "facility=CONNECTED" in logged, "all is told"
    assert secret not in logged + page and told not in logged + page


# --- it doesn't, and check says why ------------------------------------------------------------------------------


def test_a_name_without_an_address(tmp_path):
    code, printed = check(tmp_path, "no-such-broker.invalid:9092")
    assert code == 1
    assert "the name has no address" in printed


def test_a_port_where_nothing_listens(tmp_path):
    code, printed = check(tmp_path, f"127.0.0.1:{processes.free_port()}")
    assert code == 1
    assert "no connection: Connection refused" in printed


def test_a_port_of_something_else(tmp_path):
    """What listens there greets as a mail server does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def greet():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.example ESMTP\r\n")
                    time.sleep(0.5)

        threading.Thread(target=greet, daemon=True).start()
        code, printed = check(tmp_path, "127.0.0.1:%d" % server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    assert code == 1
    assert 'is no Kafka port; it says "220 mail.example ESMTP' in printed


def test_tls_is_expected_and_not_given(secure, tmp_path):
    code, printed = check(tmp_path, secure.nodes[0].address_of("TLS"))
    assert code == 1
    assert "expects TLS" in printed and "security.protocol=SSL" in printed


def test_tls_is_given_and_not_expected(secure, certificates, tmp_path):
    code, printed = check(tmp_path, secure.bootstrap, properties(certificates, "TLS"))
    assert code == 1
    assert "without TLS" in printed and "security.protocol=PLAINTEXT" in printed


def test_a_password_is_expected_and_not_given(secure, tmp_path):
    code, printed = check(tmp_path, secure.nodes[0].address_of("PASSWORD"))
    assert code == 1
    assert "wants a password" in printed
    assert "PLAIN" in printed and "SCRAM-SHA-256" in printed


@pytest.mark.parametrize("listener", ["PASSWORD", "BOTH"])
def test_a_wrong_password(secure, certificates, tmp_path, listener):
    found = properties(certificates, listener, user="admin", password="wrong-one")
    code, printed = check(tmp_path, secure.nodes[0].address_of(listener), found)
    assert code == 1
    assert "mend sasl.username, sasl.password" in printed
    assert "wrong-one" not in printed


def test_a_certificate_of_a_stranger(secure, certificates, tmp_path):
    """The broker's certificate was signed by somebody whom the configuration doesn't trust."""
    found = properties(certificates, "TLS", ssl_ca_location=certificates.path("stranger.crt"))
    code, printed = check(tmp_path, secure.nodes[0].address_of("TLS"), found)
    assert code == 1
    assert "certificate verify failed" in printed and "ssl.ca.location" in printed


class SlowPath:
    """A way to a port of this machine on which what comes back to a client waits, once the client has said so much
    that it can't be the first knock of `check`, which is short."""

    KNOCK = 150

    def __init__(self, address, seconds):
        host, port = address.rsplit(":", 1)
        self.target, self.seconds = (host, int(port)), seconds
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        with client, socket.create_connection(self.target) as broker:
            asked = client.recv(65536)
            broker.sendall(asked)
            if len(asked) > self.KNOCK:
                time.sleep(self.seconds)
            back = threading.Thread(target=self._copy, args=(broker, client), daemon=True)
            back.start()
            self._copy(client, broker)
            back.join()

    @staticmethod
    def _copy(source, destination):
        try:
            while data := source.recv(65536):
                destination.sendall(data)
            destination.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_certificate_of_a_stranger_that_comes_late(secure, certificates, tmp_path):
    """The handshake takes longer than a request may: the reason is still told, and not only that nobody answers."""
    found = properties(certificates, "TLS", ssl_ca_location=certificates.path("stranger.crt"))
    with SlowPath(secure.nodes[0].address_of("TLS"), seconds=5) as path:
        code, printed = check(tmp_path, path.address, found)
    assert code == 1
    assert "certificate verify failed" in printed and "ssl.ca.location" in printed


def test_no_certificate_where_one_is_required(secure, certificates, tmp_path):
    code, printed = check(tmp_path, secure.nodes[0].address_of("MTLS"), properties(certificates, "MTLS"))
    assert code == 1
    assert "ssl.certificate.location" in printed


def test_a_mechanism_that_this_build_lacks(secure, certificates, tmp_path):
    found = properties(certificates, "PASSWORD", mechanism="MAGIC")
    code, printed = check(tmp_path, secure.nodes[0].address_of("PASSWORD"), found)
    assert code == 1
    assert "MAGIC" in printed


def test_oidc_where_the_library_lacks_it(tmp_path):
    """Debian's librdkafka was built without libcurl."""
    found = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc"}
    code, printed = check(tmp_path, "127.0.0.1:9092", found)
    assert code == 1
    assert "built with libcurl" in printed


@pytest.mark.parametrize("where", ["file", "env"])
def test_a_password_that_is_kept_elsewhere(secure, certificates, tmp_path, monkeypatch, where):
    """The configuration names a file or an environment variable; first neither is there."""
    address, path = secure.nodes[0].address_of("PASSWORD"), tmp_path / "password"
    found = properties(certificates, "PASSWORD", user="admin")
    found["sasl.password"] = {"file": str(path)} if where == "file" else {"env": "TIDEMARK_TEST_PASSWORD"}
    code, printed = check(tmp_path, address, found)
    assert code == 2
    assert 'sources[0].properties["sasl.password"]' in printed
    path.write_text("moon\n")
    monkeypatch.setenv("TIDEMARK_TEST_PASSWORD", "moon")
    code, printed = check(tmp_path, address, found, ENOUGH)
    assert code == 0, printed


# --- permissions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing, says, lost",
    [
        ("configs", "grant DescribeConfigs on the topics", {"kafka_topic_retention_seconds"}),
        ("cluster", "grant DescribeConfigs on the cluster", set()),
        ("records", "grant Read on the topics", {"kafka_topic_unkeyed_ratio"}),
        ("offsets", "grant Read on it", set()),
        # Only what somebody is to read is read.
        ("groups", "grant Describe on them or on the cluster", {"kafka_topic_unkeyed_ratio", "kafka_consumergroup_lag"}),
    ],
)
def test_a_missing_permission_costs_only_what_it_gives(secure, certificates, tmp_path, missing, says, lost):
    address = secure.nodes[0].address_of("PASSWORD")
    found = properties(certificates, "PASSWORD", user=f"without-{missing}")
    code, printed = check(tmp_path, address, found, ENOUGH)
    assert code == 1 and says in printed, printed
    assert printed.count("; to mend it: ") == 1, printed
    with Daemon("--config", configuration(tmp_path, address, found)) as daemon:
        def all_but_what_is_lost(page):
            for name in ("kafka_topic_retention_seconds", "kafka_topic_unkeyed_ratio", "kafka_consumergroup_lag"):
                assert bool(page.family(name)) == (name not in lost), name
            assert page.get_int("tidemark_source_up", cluster="secure") == 1
            return page.get_int("kafka_topic_partitions", cluster="secure", topic="orders") == 1

        daemon.page_when(all_but_what_is_lost)
        learnt = ("admin", "sampled") if missing == "offsets" else ("topic", "exact")
        daemon.page_when(lambda page: page.by("tidemark_source_info", "offsets", "rebalances") == {learnt: 1})


def test_permissions_that_are_revoked_while_it_runs(secure, certificates, tmp_path):
    """The user may see everything, then nothing, then everything again."""
    address, found = secure.nodes[0].address_of("PASSWORD"), properties(certificates, "PASSWORD")
    with Daemon("--config", configuration(tmp_path, address, found)) as daemon:
        daemon.page_when(lag_is(7))
        revoke(secure, "watcher")
        daemon.page_when(lambda page: page.family("kafka_consumergroup_lag") == [])
        restore(secure, "watcher")
        daemon.page_when(lag_is(7))


def test_a_password_that_is_changed_while_it_runs(secure, certificates, tmp_path):
    """The broker comes back with another password for the user, and then with the one that is configured."""
    address, found = secure.nodes[0].address_of("PASSWORD"), properties(certificates, "PASSWORD")
    written = secure.nodes[0].properties.read_text()

    def restart(text):
        secure.nodes[0].kill()
        secure.nodes[0].properties.write_text(text)
        secure.start()

    with Daemon("--config", configuration(tmp_path, address, found)) as daemon:
        daemon.page_when(lag_is(7))
        restart(written.replace('user_watcher="tide"', 'user_watcher="ebb"'))
        try:
            page = daemon.page_when(
                lambda page: page.get_int("tidemark_source_up", cluster="secure") == 0
                and "Authentication failed" in daemon.logged()
            )
            assert lag_is(7)(page), "the last page is kept while the source is down"
            assert page.get_int("tidemark_poll_errors_total", cluster="secure", stage="metadata") > 0
            assert "tide\"" not in daemon.logged()
        finally:
            restart(written)
        daemon.page_when(lambda page: page.get_int("tidemark_source_up", cluster="secure") == 1)


def test_a_group_that_may_not_be_read(secure, certificates, tmp_path):
    """It is listed, since the user may describe the cluster; all else about it is refused, and only about it."""
    address, found = secure.nodes[0].address_of("PASSWORD"), properties(certificates, "PASSWORD", user="without-groups")
    commit(secure, "locked", "orders", {0: 1})
    allow(secure, "without-groups", "Describe", "--cluster")
    allow(secure, "without-groups", "Describe", "--group", "billing")
    try:
        with Daemon("--config", configuration(tmp_path, address, found, offsets="admin")) as daemon:
            page = daemon.page_when(
                lambda page: lag_is(7)(page)
                and page.get_int("tidemark_poll_errors_total", cluster="secure", stage="groups") > 0
                and page.get_int("tidemark_source_up", cluster="secure") == 1
            )
            assert page.get_text("kafka_consumergroup_lag", **WHERE | {"consumergroup": "locked"}) is None
            assert page.get_text("kafka_consumergroup_members", cluster="secure", consumergroup="locked") is None
            assert "locked" in daemon.logged()
    finally:
        allow(secure, "without-groups", "Describe", "--cluster", again="--remove")
        allow(secure, "without-groups", "Describe", "--group", "billing", again="--remove")


def test_a_topic_that_is_insisted_on_and_may_not_be_read(secure, certificates, tmp_path):
    """`offsets: topic` without Read on __consumer_offsets: a failure that is counted, and the lag is there all the same."""
    address, found = secure.nodes[0].address_of("PASSWORD"), properties(certificates, "PASSWORD", user="without-offsets")
    with Daemon("--config", configuration(tmp_path, address, found, offsets="topic")) as daemon:
        daemon.page_when(lambda page: page.get_int("tidemark_poll_errors_total", cluster="secure", stage="commits") > 0)
        daemon.page_when(lag_is(7))
        processes.wait_until(lambda: "grant Read on it" in daemon.logged(), what="the reason")
