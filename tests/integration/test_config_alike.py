"""YAML and JSON are two ways to write one configuration: what is accepted, what comes of it, what is refused, where, and
what the schema says of it are the same, for the examples and for mistakes of every kind in them."""

import copy
import json
import random
import re
import socket
from pathlib import Path

import jsonschema
import pytest
import yaml

import processes
from daemon import run

ROOT = Path(__file__).resolve().parent.parent.parent
MISTAKES = 25

# Of each kind of value that there may be, in every place.
VALUES = [None, True, 0, -1, 1.5, 10**15, "", "x", "5m", "0s", "(", "\n", "é \U0001f41f", [], ["x"], [1], {}, {"x": 1}, {"env": "HOME"}]
NAMES = ["", "sources", "kafka", "x.y", "a b", "topics", "é", "poll_interval"]


@pytest.fixture(scope="module")
def taken():
    """An address that is listened on already: there a right configuration comes to its end."""
    with socket.create_server(("127.0.0.1", processes.free_port())) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


@pytest.fixture(scope="module")
def schema():
    return jsonschema.Draft202012Validator(json.loads(run("schema")[1]))


def base():
    """All that a file can have, each part of it right."""
    return {
        "listen": "127.0.0.1:0",
        "poll_interval": "30s",
        "timeout": "100ms",
        "log_format": "logfmt",
        "log_level": "error",
        "cluster_label": "kafka_cluster",
        "granularity": "topic",
        "metrics": {"include": ["kafka_.*"], "exclude": ["kafka_x"]},
        "max_series": 1000,
        "rules": {"objective": "5m", "horizon_share": 0.5, "rebalance_count": 4},
        "overrides": [{"groups": "batch-.*", "topics": "x", "clusters": "y", "rules": {"objective": "1h"}}],
        "sources": [
            {
                "name": "a",
                "kafka": "127.0.0.1:1",
                "properties": {"client.id": "x", "socket.timeout.ms": 1000, "client.rack": {"env": "HOME"}},
                "topics": {"include": ["a.*"], "exclude": ["b"]},
                "groups": {"include": ["c"]},
                "offsets": "admin",
            },
            {"name": "b", "logstore": "/nonexistent", "poll_interval": "1m", "granularity": "group"},
        ],
    }


def places(value, path=()):
    """The paths of all values in it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from places(member, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mistaken(source):
    """A copy of base() in which one thing is another, is missing, or is one too many."""
    content = copy.deepcopy(base())
    path = source.choice([path for path in places(content) if path])
    parent, key = at(content, path[:-1]), path[-1]
    what = source.randrange(4)
    if what == 0:
        del parent[key]
    elif what == 1 and isinstance(parent, dict):
        parent[source.choice(NAMES)] = source.choice(VALUES)
    elif what == 2 and isinstance(parent, list):
        parent.append(copy.deepcopy(source.choice([*VALUES, parent[key]])))
    else:
        parent[key] = source.choice(VALUES)
    return content


def outcome(tmp_path, taken, name, text):
    """(exit code, the complaint without the file's name and line, the line)"""
    path = tmp_path / name
    path.write_text(text)
    code, output, errors = run("serve", "--config", str(path), "--listen", taken)
    assert output == b""
    complaint = errors.strip().splitlines()
    assert len(complaint) >= 1, errors
    found = re.match(rf"tidemark serve: {re.escape(str(path))}(?::(\d+))?: (.*)", complaint[-1])
    return (code, found[2], found[1]) if found else (code, None, None)


def compare(tmp_path, taken, content):
    """The complaint about it, which is the same in all ways of writing it, each with its own line; None: it is right."""
    texts = {
        "one-line.json": json.dumps(content, ensure_ascii=False),
        "indented.json": json.dumps(content, indent=2, ensure_ascii=False),
        "block.yaml": yaml.safe_dump(content, allow_unicode=True, sort_keys=False),
        "flow.yaml": yaml.safe_dump(content, default_flow_style=True, sort_keys=False),
    }
    outcomes = {name: outcome(tmp_path, taken, name, text) for name, text in texts.items()}
    complaints = {complaint for _, complaint, _ in outcomes.values()}
    assert len(complaints) == 1, outcomes
    (complaint,) = complaints
    for name, (_, _, line) in outcomes.items():
        assert complaint is None or line is not None, (name, complaint)
        if line is not None:
            assert 1 <= int(line) <= texts[name].count("\n") + 1, (name, line)
    return complaint


def test_the_examples_are_right_in_both_ways_of_writing(tmp_path, schema, taken):
    for content in [base(), *(yaml.safe_load(path.read_text()) for path in ROOT.glob("examples/tidemark.yaml"))]:
        assert compare(tmp_path, taken, content) is None
        schema.validate(content)


def test_a_mistake_is_the_same_in_both_ways_of_writing(tmp_path, schema, taken):
    """The seed is printed, so that a failure can be had again."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    source, refused = random.Random(seed), 0
    for _ in range(MISTAKES):
        content = mistaken(source)
        complaint = compare(tmp_path, taken, content)
        refused += complaint is not None
        # What only the program can know: names that are there twice, patterns, files, what fits together.
        if complaint is None:
            assert schema.is_valid(content), (content, [error.message for error in schema.iter_errors(content)])
        if not schema.is_valid(content):
            assert complaint is not None, content
    assert refused > MISTAKES // 4
