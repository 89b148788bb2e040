"""The published schema says of a configuration what the program says of it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from daemon import run

ROOT = Path(__file__).resolve().parent.parent.parent
KAFKA = {"name": "a", "kafka": "b:1"}


@pytest.fixture(scope="module")
def schema():
    code, output, errors = run("schema")
    assert code == 0 and errors == ""
    schema = json.loads(output)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def refused_by_program(tmp_path, content):
    """Whether the file itself is refused; that its only source is a folder that isn't there comes later."""
    path = tmp_path / "tidemark.yaml"
    path.write_text(yaml.safe_dump(content))
    code, _, errors = run("serve", "--config", str(path), "--logstore", "test-end=/nonexistent", "--once", "--timeout", "100ms")
    return code == 2 and f"{path}:" in errors, errors


def test_the_examples_are_what_the_schema_and_the_program_want(schema, tmp_path):
    for path in sorted((ROOT / "examples").glob("tidemark.*")):
        if path.name == "tidemark.schema.json":
            continue
        content = yaml.safe_load(path.read_text())
        schema.validate(content)
        refused, errors = refused_by_program(tmp_path, content)
        assert not refused, errors


# A content, and whether it is right.
CONTENTS = [
    ({}, True),
    ({"sources": [KAFKA]}, True),
    ({"sources": [{**KAFKA, "properties": {"client.id": "x", "socket.timeout.ms": 100, "log.queue": True}}]}, True),
    ({"sources": [{**KAFKA, "properties": {"client.id": None}}]}, False),
    ({"sources": [{**KAFKA, "properties": ["client.id"]}]}, False),
    ({"sources": [{**KAFKA, "properties": {"client.id": {"env": "PATH"}, "client.rack": {"file": "/etc/debian_version"}}}]}, True),
    ({"sources": [{**KAFKA, "properties": {"client.id": {"env": "PATH", "file": "/etc/debian_version"}}}]}, False),
    ({"sources": [{**KAFKA, "properties": {"client.id": {"vault": "x"}}}]}, False),
    ({"sources": [{**KAFKA, "properties": {"client.id": {"env": 1}}}]}, False),
    ({"sources": [{**KAFKA, "topics": {"include": ["a"], "exclude": []}}]}, True),
    ({"sources": [{**KAFKA, "topics": {"include": "a"}}]}, False),
    ({"sources": [{**KAFKA, "topics": {"only": ["a"]}}]}, False),
    ({"sources": [{**KAFKA, "groups": {"include": [""]}}]}, False),
    ({"sources": [{**KAFKA, "poll_interval": "1.5m", "timeout": "500ms"}]}, True),
    ({"sources": [{**KAFKA, "poll_interval": 15}]}, False),
    ({"sources": [{**KAFKA, "timeout": "15"}]}, False),
    ({"sources": [{**KAFKA, "logstore": "/x"}]}, False),
    ({"sources": [{"name": "a"}]}, False),
    ({"sources": [{"kafka": "b:1"}]}, False),
    ({"sources": {}}, False),
    ({"sources": [{**KAFKA, "retries": 3}]}, False),
    ({"listen": ":1", "poll_interval": "1d", "timeout": "1h", "log_format": "json", "cluster_label": "kafka_cluster"}, True),
    ({"listen": 9308}, False),
    ({"log_format": "xml"}, False),
    ({"log_level": "warn"}, True),
    ({"log_level": "loud"}, False),
    ({"cluster_label": "__x"}, False),
    ({"cluster_label": "9x"}, False),
    ({"rules": {"objective": "5m", "horizon_share": 0.5, "rebalance_count": 3}}, True),
    ({"rules": {"horizon_share": "0.5", "rebalance_count": "3"}}, True),
    ({"rules": {"objektive": "5m"}}, False),
    ({"rules": {"objective": 300}}, False),
    ({"rules": {"horizon_share": 1.5}}, False),
    ({"rules": {"horizon_share": 0}}, False),
    ({"rules": {"rebalance_count": 1001}}, False),
    ({"rules": {"rebalance_count": 1.5}}, False),
    ({"rules": []}, False),
    ({"polinterval": "1s"}, False),
    ([], False),
]


@pytest.mark.parametrize("content, right", CONTENTS, ids=lambda value: json.dumps(value)[:60])
def test_schema_and_program_agree(schema, tmp_path, content, right):
    refused, errors = refused_by_program(tmp_path, content)
    assert refused is not right, errors
    assert schema.is_valid(content) is right


def test_every_key_of_the_schema_is_explained_in_the_example(schema):
    """A key is added to the program: the example that users copy from has it, too."""
    text = (ROOT / "examples/tidemark.yaml").read_text()

    def keys(part):
        for name, value in part.get("properties", {}).items():
            yield name, value
            if name != "rules":  # named by the schema only: there are many, and none has to be set
                yield from keys(value.get("items", value))

    described = dict(keys(schema.schema))
    assert {"listen", "kafka", "include"} <= set(described)
    for name, value in described.items():
        assert f"{name}:" in text, name
        assert value["description"], name
