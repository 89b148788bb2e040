"""A broker with encryption, passwords and permissions: certificates made for it, users, and what a client needs."""

import shutil
import tempfile
from pathlib import Path

import processes

LISTENERS = {"TLS": "SSL", "MTLS": "SSL", "PASSWORD": "SASL_PLAINTEXT", "BOTH": "SASL_SSL"}
SCRAM_USER = "scrambled"
KEY_PASSWORD = "harbour"
GRANTS = {
    "topics": ["Describe", "--topic", "*"],
    "groups": ["Describe", "--group", "*"],
    "configs": ["DescribeConfigs", "--topic", "*"],
    "cluster": ["DescribeConfigs", "--cluster"],
    "records": ["Read", "--topic", "orders"],
    "offsets": ["Read", "--topic", "__consumer_offsets"],
}
# "admin" may do everything, "watcher" has all grants, the others all but one.
USERS = {"admin": "moon", "watcher": "tide", **{f"without-{name}": "tide" for name in GRANTS}}


def _openssl(*arguments):
    code, output, errors = processes.run(["openssl", *arguments])
    assert code == 0, (output + errors).decode(errors="replace")


class Certificates:
    """An authority, and certificates that it signed for the broker (localhost) and a client, as PEM files."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tidemark-certificates-"))
        self._authority("ca")
        self._authority("stranger")
        for name in ("broker", "client"):
            self._signed(name)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return self.folder / name

    def _authority(self, name):
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt"),
        )

    def _signed(self, name):
        _openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"),
        )
        self.path(f"{name}.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl(
            "x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"),
            "-CAcreateserial", "-days", "2", "-extfile", self.path(f"{name}.ext"), "-out", self.path(f"{name}.crt"),
        )
        # Until 3.0 a broker takes no key without a password.
        _openssl(
            "pkcs8", "-topk8", "-in", self.path(f"{name}.key"), "-out", self.path(f"{name}.p8"), "-v1", "PBE-SHA1-3DES",
            "-passout", f"pass:{KEY_PASSWORD}",
        )
        both = self.path(f"{name}.p8").read_text() + self.path(f"{name}.crt").read_text()
        self.path(f"{name}.pem").write_text(both)

    def broker_settings(self):
        """The listener PLAINTEXT is the test's own: whoever comes there may do everything."""
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required "
        plain += " ".join(f'user_{name}="{password}"' for name, password in USERS.items()) + ";"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        settings = {
            "super.users": "User:ANONYMOUS;User:admin;User:CN=client",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.path("broker.pem"),
            "ssl.key.password": KEY_PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.path("ca.crt"),
            "listener.name.mtls.ssl.client.auth": "required",
        }
        for listener in ("password", "both"):
            prefix = f"listener.name.{listener}"
            settings[f"{prefix}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256"
            settings[f"{prefix}.plain.sasl.jaas.config"] = plain
            settings[f"{prefix}.scram-sha-256.sasl.jaas.config"] = scram
        return settings


def _acls(cluster, *arguments):
    cluster.tool(["org.apache.kafka.tools.AclCommand", "kafka.admin.AclCommand"], "--force", *arguments)


def grant_all(cluster):
    for name, resource in GRANTS.items():
        users = [user for user in [*USERS, SCRAM_USER] if user not in ("admin", f"without-{name}")]
        principals = [word for user in users for word in ("--allow-principal", f"User:{user}")]
        _acls(cluster, "--add", *principals, "--operation", *resource)


def allow(cluster, user, operation, *resource, again="--add"):
    """With again="--remove": no longer."""
    _acls(cluster, again, "--allow-principal", f"User:{user}", "--operation", operation, *resource)


def revoke(cluster, user):
    """Whatever it was granted."""
    _acls(cluster, "--add", "--deny-principal", f"User:{user}", "--operation", "All", "--topic", "*", "--group", "*")


def restore(cluster, user):
    _acls(cluster, "--remove", "--deny-principal", f"User:{user}", "--operation", "All", "--topic", "*", "--group", "*")


def add_scram_user(cluster):
    cluster.tool(
        ["kafka.admin.ConfigCommand"], "--alter", "--add-config", "SCRAM-SHA-256=[password=tide]",
        "--entity-type", "users", "--entity-name", SCRAM_USER,
    )
