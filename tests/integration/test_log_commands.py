"""`tidemark log …` as a person and a pipe use it."""

import fcntl
import json
import os
import pty
import re
import shutil
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import pytest

import processes
from daemon import PROGRAM, Daemon

VERBS = [
    "create", "alter", "delete", "append", "read", "consume", "commit", "groups", "reset", "retain", "compact", "verify", "stat",
]


def log(*arguments, input="", code=0, **options):
    done = subprocess.run(
        [PROGRAM, "log", *map(str, arguments)], input=input.encode(), capture_output=True, timeout=120, **options
    )
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode() if code == 0 else done.stderr.decode()


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    log("create", folder, "orders", "--partitions", 1)
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_an_example(verb):
    text = log(verb, "--help")
    assert text.startswith(f"Usage: tidemark log {verb} ")
    assert re.search(rf"^Example:\n  .*tidemark log {verb} ", text, re.M)


def test_lines_go_through_a_pipe(store):
    """Whatever one line is comes out as one line, in order."""
    content = "".join(f"line {number}\n" for number in range(5000))
    log("append", store, "orders", input=content)
    assert log("read", store, "orders") == content


def test_json_lines_keep_key_headers_and_time(store):
    record = {"key": "7", "value": "paid", "headers": {"trace": "a\u00e9"}, "timestamp": 1700000000123}
    log("append", store, "orders", "--json", input=json.dumps(record) + "\n")
    found = lines(log("read", store, "orders", "--json"))
    assert len(found) == 1
    assert {key: found[0][key] for key in ("key", "value", "timestamp")} == {key: record[key] for key in ("key", "value", "timestamp")}
    assert found[0]["offset"] == 0 and "trace" in json.dumps(found[0]["headers"])


@pytest.mark.parametrize(
    "where, first", [("earliest", "0"), ("latest", None), ("3", "3"), ("@1000000004000", "4"), ("@1000000003500", "4")]
)
def test_reading_begins_where_one_says(store, where, first):
    records = "".join(json.dumps({"value": str(n), "timestamp": 1000000000000 + 1000 * n}) + "\n" for n in range(6))
    log("append", store, "orders", "--json", input=records)
    shown = log("read", store, "orders", "--from", where).splitlines()
    assert shown == ([] if first is None else [str(n) for n in range(int(first), 6)])


def test_following_shows_what_comes_later(store):
    reader = processes.start([PROGRAM, "log", "read", store, "orders", "--follow"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        for text in ("first", "second"):
            log("append", store, "orders", input=text + "\n")
            assert select.select([reader.stdout], [], [], 120)[0]
            assert reader.stdout.readline().decode() == text + "\n"
    finally:
        reader.send_signal(signal.SIGINT)
        reader.wait(60)


def test_a_reader_that_hangs_up_ends_the_pipe_quietly(store):
    log("append", store, "orders", input="x\n" * 50000)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{PROGRAM}" log read "{store}" orders | head -n 1'], capture_output=True, timeout=60
    )
    assert done.stdout == b"x\n" and done.stderr == b""


def test_a_group_reads_commits_and_goes_on(store):
    log("append", store, "orders", input="a\nb\nc\n")
    assert log("consume", store, "billing", "orders", "--count", 2) == "a\nb\n"
    assert log("consume", store, "billing", "orders") == "c\n"
    assert log("consume", store, "billing", "orders") == ""
    groups = lines(log("groups", store, "billing", "--json"))
    assert any(row.get("committed") == 3 for row in groups), groups


@pytest.mark.parametrize(
    "to, after", [("earliest", 0), ("latest", 5), ("2", 2), ("@1000000003000", 3), ("+1", 5), ("-3", 1), ("99", 5)]
)
def test_a_reset_leads_where_one_says(store, to, after):
    """From offset 4; a dry run changes nothing."""
    records = "".join(json.dumps({"value": str(n), "timestamp": 1000000000000 + 1000 * n}) + "\n" for n in range(5))
    log("append", store, "orders", "--json", input=records)
    log("commit", store, "billing", "orders", 0, 4)

    def committed():
        return [row["committed"] for row in lines(log("groups", store, "billing", "--json")) if "committed" in row]

    shown = log("reset", store, "billing", "orders", "--to", to, "--dry-run")
    assert str(after) in shown and committed() == [4]
    log("reset", store, "billing", "orders", "--to", to)
    assert committed() == [after]


def test_a_reset_is_refused_while_members_live(store):
    log("append", store, "orders", input="a\n")
    member = processes.start(
        [PROGRAM, "log", "consume", store, "billing", "orders", "--follow"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert member.stdout.readline() == b"a\n"
        said = log("reset", store, "billing", "orders", "--to", "earliest", code=1)
        assert "member" in said
    finally:
        member.send_signal(signal.SIGTERM)
        member.wait(60)


def test_damage_is_found_and_named(store):
    """A byte in the middle of the log is another one."""
    log("append", store, "orders", input="a message of some length\n" * 100)
    assert "0 damages" in log("verify", store)
    path = max((path for path in store.rglob("*") if path.is_file()), key=lambda path: path.read_bytes().count(b"message"))
    content = bytearray(path.read_bytes())
    content[content.index(b"message", len(content) // 2 if b"message" in content[len(content) // 2:] else 0)] ^= 1
    path.write_bytes(content)
    done = subprocess.run([PROGRAM, "log", "verify", store], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert path.name in done.stdout.decode() and "damage" in done.stderr.decode()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["apend", "x", "y"], "no such verb"),
        (["append", "x"], "expected DIR TOPIC"),
        (["read", "/nonexistent", "orders"], "/nonexistent"),
        (["read", "STORE", "nothing"], "nothing"),
        (["read", "STORE", "orders", "--from", "soon"], "soon"),
        (["append", "STORE", "orders", "--colour", "red"], "colour"),
        (["create", "STORE", "x", "--config", "retention=1"], "retention"),
        (["commit", "STORE", "g", "orders", "7", "0"], "7"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_are_named(store, arguments, says):
    arguments = [str(store) if word == "STORE" else word for word in arguments]
    done = subprocess.run([PROGRAM, "log", *arguments], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode in (1, 2)
    said = done.stderr.decode()
    assert said.startswith("tidemark log") and says in said and said.count("\n") == 1


def read_all(terminal):
    """Until the other end is closed, which a terminal calls an error."""
    content = b""
    try:
        while piece := os.read(terminal, 65536):
            content += piece
    except OSError:
        pass
    return content


def test_long_work_shows_how_far_it_is_to_a_person_only(store):
    """Standard error is a terminal, then it is not; the input comes slowly, until enough has been seen."""

    def append(errors, is_enough):
        process = subprocess.Popen([PROGRAM, "log", "append", store, "orders"], stdin=subprocess.PIPE, stderr=errors)

        def append_one():
            process.stdin.write(b"x\n")
            process.stdin.flush()
            return is_enough()

        processes.wait_until(append_one, what="enough lines", pause=0.1)
        process.stdin.close()
        assert process.wait(60) == 0

    ours, theirs = pty.openpty()
    begun = time.monotonic()
    append(theirs, lambda: select.select([ours], [], [], 0)[0])
    as_long = time.monotonic() + 2 * (time.monotonic() - begun)
    os.close(theirs)
    shown = read_all(ours).decode()
    os.close(ours)
    assert re.search(r"\r\d+ records, \d+/s", shown)
    assert shown.endswith("\r\x1b[K"), "the line is taken away at the end"
    reading, writing = os.pipe()
    append(writing, lambda: time.monotonic() > as_long)
    os.close(writing)
    assert os.read(reading, 100) == b""
    os.close(reading)


PATIENCE_S = 0.5  # so long work is done without a word (logstore/cli/progress.c)
BAR = re.compile(r"\r\[(#*)(\.*)\] +(\d+) %  (\d+) records, \d+/s")


def shown_to_a_person(arguments, hinder, **options):
    """What a verb writes to a terminal while `hinder`, a function of the process, makes it last."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, "log", *map(str, arguments)], stderr=theirs, **options)
    os.close(theirs)
    try:
        hinder(process)
        code = process.wait(120)
    finally:
        process.kill()
        process.wait()
    shown = read_all(ours).decode()
    os.close(ours)
    return code, shown


def check_bars(shown, records):
    """The bars, the percentage and the records tell the same. Whether one is of something between start and end."""
    bars = [(len(done), len(left), int(percent), int(count)) for done, left, percent, count in BAR.findall(shown)]
    for done, left, percent, count in bars:
        assert done + left == 30 and done == count * 30 // records and percent == count * 100 // records
    assert bars == sorted(bars), "it never goes back"
    assert not bars or shown.endswith("\r\x1b[K"), "the line is taken away at the end"
    return any(0 < count < records for *_, count in bars)


@pytest.mark.parametrize("verb", ["compact", "retain"])
@pytest.mark.parametrize("name", [["t"], []], ids=["one topic", "all topics"])
def test_looking_after_a_topic_shows_how_far_it_is(store, verb, name):
    """Somebody else has the partitions' locks (FORMAT.md) for a while: the verb waits, and is late when it begins. How
    long it takes the program to come to that isn't known, so what was too short is done again."""
    records = 20000
    settings = {"compact": ["cleanup.policy=compact", "min.compaction.lag.ms=0"], "retain": ["retention.ms=1"]}[verb]
    late = ["--config", "segment.bytes=20000", "--config", "retention.ms=-1", "--config", "min.compaction.lag.ms=36000000"]
    content = "".join(json.dumps({"key": str(i), "value": "x", "timestamp": 1}) + "\n" for i in range(records))
    for held_s in (2 * PATIENCE_S, 4, 16):
        log("create", store, "t", *late)
        log("append", store, "t", "--json", input=content)
        log("alter", store, "t", *(word for setting in settings for word in ("--config", setting)))
        with open(store / "partitions", "r+b") as partitions:
            fcntl.lockf(partitions, fcntl.LOCK_EX, 0, 256)

            def hold(process):
                time.sleep(held_s)
                assert process.poll() is None, "it waits"
                fcntl.lockf(partitions, fcntl.LOCK_UN, 0, 256)

            code, shown = shown_to_a_person([verb, store, *name], hold)
        assert code == 0
        if check_bars(shown, records):
            return
        log("delete", store, "t")
    raise AssertionError("no bar")


def test_verifying_shows_how_far_it_is(store):
    """Every second record is damaged, and the pipe for what is said of them is full for a while."""
    records = 600
    content = "".join(json.dumps({"value": f"SPOILT{i}", "partition": 0}) + "\n" for i in range(records))
    log("append", store, "orders", "--json", input=content)  # each in a batch of its own
    (segment,) = store.rglob("*.log")
    segment.write_bytes(re.sub(rb"SPOILT(\d*[13579])(?=\D)", rb"spoilt\1", segment.read_bytes()))
    reading, writing = os.pipe()
    room = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)

    def read_late(process):
        os.close(writing)
        while struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, b"\0" * 4))[0] < room:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(2 * PATIENCE_S)
        with open(reading, "rb") as pipe:
            assert pipe.read().count(b"\n") > records / 3

    code, shown = shown_to_a_person(["verify", store], read_late, stdout=writing)
    assert code == 1
    shown, complaint = shown.rsplit("tidemark log verify", 1)
    assert "damaged at" in complaint
    assert check_bars(shown, records), shown


def test_the_daemon_reads_a_store_that_it_may_not_write():
    """Everything is readable, and nothing writable: root, who may do anything, becomes somebody else."""
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="tidemark-readonly-") as folder:
        store = Path(folder) / "store"
        log("create", store, "orders")
        log("append", store, "orders", input="a\nb\n")
        log("commit", store, "billing", "orders", 0, 1)
        program = shutil.copy(PROGRAM, folder)  # where it lies may be closed to others, as root's home is
        Path(folder).chmod(0o755)
        everything = [store, *store.rglob("*")]
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = [(path.stat().st_mtime_ns, path.stat().st_size) for path in everything]
        done = subprocess.run([program, "serve", "--once", "--logstore", store], capture_output=True, timeout=60, **somebody)
        assert [(path.stat().st_mtime_ns, path.stat().st_size) for path in everything] == before
        for path in everything:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr.decode()
    wanted = 'kafka_consumergroup_lag{cluster="default",consumergroup="billing",topic="orders",partition="0"} 1'
    assert wanted in done.stdout.decode()
