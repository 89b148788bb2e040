"""`tidemark status` and `tidemark explain`, which ask a daemon."""

import json
import os
import pty
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import processes
from daemon import PROGRAM, Daemon, run
from store import Store

HOSTILE = "x\x1b[2J\n\u202eä/%"
SHOWN = "x\\x1b[2J\\x0a\\u{202e}ä/%"
STOPPED = ("--rule", "stopped_after=1s")


@pytest.fixture
def store(tmp_path):
    """One group without members has read all 10 messages, another 7 of them."""
    store = Store(tmp_path / "store")
    store.create("orders")
    store.append("orders", 10)
    store.commit("billing", "orders", 10)
    return store


def status(daemon, *arguments):
    code, output, errors = run("status", "--url", daemon.url, *arguments)
    assert not errors, errors
    return code, output.decode()


def explain(daemon, *arguments):
    code, output, errors = run("explain", "--url", daemon.url, *arguments)
    return code, output.decode(), errors


def stopped(daemon):
    """Waits until a group is named as stopped."""
    processes.wait_until(lambda: "Nobody reads" in status(daemon)[1], what="a group that stopped")


def test_all_is_well(store):
    with Daemon("--logstore", store.folder) as daemon:
        processes.wait_until(lambda: "billing" in status(daemon)[1], what="the group")
        code, output = status(daemon)
        assert code == 0
        assert output.splitlines()[0].split()[:2] == ["VERDICT", "GROUP"]
        assert "1 group" in output.splitlines()[-1]
        code, output, _ = explain(daemon, "billing")
        assert code == 0 and "Nothing is the matter" in output


def test_what_is_critical_comes_first_with_its_reason_and_exit_code(store):
    store.commit("slow", "orders", 7)
    with Daemon("--logstore", store.folder, *STOPPED) as daemon:
        stopped(daemon)
        code, output = status(daemon)
        assert code == 2
        lines = output.splitlines()
        assert lines[1].split()[:2] == ["stopped", "slow"] and "3 messages wait" in lines[2]
        code, output, _ = explain(daemon, "slow")
        assert code == 2
        for part in ("stopped since", "without_progress", "(limit)", "Start its consumers", "stopped began", "committed"):
            assert part in output, part
        assert json.loads(status(daemon, "--json")[1])["groups"][0]["verdict"] == "stopped"


def test_a_warning_has_an_exit_code_of_its_own(store):
    """A group is an hour late on a compacted topic, next to one that has read all: a warning, and nothing graver."""
    hour_ago_ms = int((time.time() - 3600) * 1000)
    store.create("states", 1, "--config=cleanup.policy=compact")
    store.append_records("states", ({"key": "user", "value": str(i), "timestamp": hour_ago_ms} for i in range(10)))
    store.commit("slow", "states", 5)
    with Daemon("--logstore", store.folder, "--rule", "objective=1s", "--rule", "stopped_after=1h") as daemon:
        processes.wait_until(lambda: "compaction_risk" in status(daemon)[1], what="a warning")
        code, output = status(daemon)
        assert code == 1 and "2 groups, 1 with a warning" in output.splitlines()[-1], output
        code, answer = status(daemon, "--json")
        assert code == 1 and json.loads(answer)["groups"][0]["grade"] == "warning"
        assert explain(daemon, "slow")[0] == 1 and explain(daemon, "billing")[0] == 0


def test_a_hostile_name_has_no_power_over_the_terminal(store):
    """A group's name clears the screen, breaks lines and turns the text around; what is shown of it can be given
    to explain."""
    store.commit(HOSTILE, "orders", 7)
    with Daemon("--logstore", store.folder, *STOPPED) as daemon:
        stopped(daemon)
        _, table = status(daemon)
        for name in (HOSTILE, SHOWN):
            code, output, errors = explain(daemon, "--", name)
            assert code == 2, errors
            assert SHOWN in output
            for text in (table, output):
                assert not set(text) & {"\x1b", "\r", "\u202e", "\x07"}
                assert SHOWN in text
        assert "\x1b" not in explain(daemon, "\x1bnobody")[2]


def on_terminal(*arguments, columns, environment=()):
    """What the program writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", str(columns)], stdin=theirs, check=True, timeout=60)
    variables = {**os.environ, "TERM": "xterm", **dict(environment)}
    variables.pop("COLUMNS", None)
    process = processes.start([PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    output = b""
    try:
        while piece := os.read(ours, 65536):
            output += piece
    except OSError:  # the terminal has been closed at its other end
        pass
    os.close(ours)
    return process.wait(60), output.decode()


@pytest.mark.parametrize("columns", [60, 100])
def test_lines_fit_the_terminal_and_colours_stay_on_it(store, columns):
    store.commit("a-group-with-quite-a-long-name-" * 3, "orders", 7)
    with Daemon("--logstore", f"quite-a-long-name-of-a-cluster={store.folder}", *STOPPED) as daemon:
        stopped(daemon)
        code, output = on_terminal("status", "--url", daemon.url, columns=columns, environment={"NO_COLOR": "1"})
        assert code == 2 and "\x1b" not in output
        assert max(len(line) for line in output.splitlines()) <= columns
        assert "…" in output
        _, coloured = on_terminal("status", "--url", daemon.url, columns=columns)
        assert "\x1b[31m" in coloured
        assert "\x1b" not in status(daemon)[1]


def test_a_long_name_is_whole_in_a_pipe_and_widens_no_other_line(store):
    long = "a-group-with-quite-a-long-name-" * 8
    store.commit(long, "orders", 7)
    with Daemon("--logstore", store.folder, *STOPPED) as daemon:
        stopped(daemon)
        rows = [line for line in status(daemon)[1].splitlines() if "default" in line]
        assert sum(long in row for row in rows) == 1 and len(rows) > 1
        assert all(len(row) < 140 for row in rows if long not in row), rows


def test_what_is_not_known_has_an_exit_code_of_its_own(store):
    with Daemon("--logstore", store.folder) as daemon:
        processes.wait_until(lambda: "billing" in status(daemon)[1], what="the group")
        code, _, errors = explain(daemon, "nobody")
        assert code == 3 and "nobody" in errors
        gone = daemon.url
    for arguments in (("status", "--url", gone), ("explain", "billing", "--url", gone), ("status", "--frobnicate")):
        code, output, errors = run(*arguments)
        assert (code, output) == (3, b""), arguments
        assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"groups": null}', b'{"groups": {}}', b"null", b"", b"\xff"])
def test_the_answer_of_another_program_is_not_taken_for_all_is_well(answer):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            for command in (["status"], ["status", "--json"], ["explain", "billing"]):
                code, output, errors = run(*command, "--url", f"http://127.0.0.1:{other.server_port}")
                assert (code, output) == (3, b""), command
                assert len(errors.splitlines()) == 1
        finally:
            other.shutdown()


def test_a_source_that_is_down_is_named(store, tmp_path):
    with Daemon("--logstore", store.folder, "--kafka", "far=127.0.0.1:1", "--timeout", "500ms") as daemon:
        daemon.wait_ready()
        code, output = status(daemon)
        assert code == 3 and "far can't be reached" in output and "billing" in output
        assert status(daemon, "--cluster", "default")[0] == 0
