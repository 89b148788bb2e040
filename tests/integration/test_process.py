"""The daemon as a process: how it starts, ends, and refuses."""

import re
import signal
import socket
import subprocess
import urllib.request

import pytest

import exposition
import processes
from daemon import PROGRAM, Daemon, run
from kafka_traffic import commit, produce


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_the_daemon_cleanly(kafka, how):
    """The daemon polls a broker and is told to end."""
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lambda page: page.get_int("tidemark_source_up", cluster="default") == 1)
        assert daemon.stop(how) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", daemon.port), timeout=1)


def test_once_prints_one_page_and_ends(kafka):
    """A script wants the numbers, not a daemon."""
    kafka.create_topic("once", 1)
    produce(kafka, "once", {0: 10})
    commit(kafka, "once", "once", {0: 4})
    code, output, errors = run("serve", "--kafka", kafka.bootstrap, "--timeout", "60s", "--once")
    assert code == 0, errors
    page = exposition.parse(output)
    where = {"cluster": "default", "consumergroup": "once", "topic": "once", "partition": "0"}
    assert page.get_int("kafka_consumergroup_lag", **where) == 6


def test_once_without_a_broker_fails_and_says_why():
    """Nothing listens on the broker's port."""
    address = f"127.0.0.1:{processes.free_port()}"
    code, output, errors = run("serve", "--kafka", address, "--timeout", "2s", "--once")
    assert code != 0
    assert "default" in errors
    if output:
        assert exposition.parse(output).get_int("tidemark_source_up", cluster="default") == 0


def refusal(*arguments):
    """The one line with which a command line is refused."""
    code, output, errors = run(*arguments)
    assert code == 2, (code, output, errors)
    assert output == b""
    lines = errors.strip().splitlines()
    assert len(lines) == 1, errors
    return lines[0]


def test_no_source_at_all_is_refused():
    line = refusal("serve")
    assert "--kafka" in line and "--config" in line


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["frobnicate"], "frobnicate"),
        (["serve", "--frobnicate"], "--frobnicate"),
        (["serve", "--kafka"], "--kafka"),
        (["serve", "--kafka", "127.0.0.1:1", "--poll-interval", "soon"], "soon"),
        (["serve", "--kafka", "127.0.0.1:1", "--poll-interval", "-5s"], "-5s"),
        (["serve", "--kafka", "127.0.0.1:1", "--poll-interval", "0s"], "--poll-interval"),
        (["serve", "--kafka", "127.0.0.1:1", "--listen", "127.0.0.1:99999"], "99999"),
        (["serve", "--kafka", "127.0.0.1:1", "--listen", "nowhere"], "nowhere"),
        (["serve", "--kafka", "127.0.0.1:1", "--rule", "objective"], "objective"),
        (["serve", "--kafka", "127.0.0.1:1", "--rule", "nonsense=5m"], "nonsense"),
        (["serve", "--kafka", "127.0.0.1:1", "--log-format", "xml"], "xml"),
        (["serve", "--config", "/nonexistent/tidemark.json"], "/nonexistent/tidemark.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_command_line_is_refused_in_one_line(arguments, named):
    assert named in refusal(*arguments)


def test_a_port_in_use_is_named_with_a_remedy():
    """Something else listens on the port."""
    with socket.create_server(("127.0.0.1", processes.free_port())) as other:
        port = other.getsockname()[1]
        line = refusal("serve", "--kafka", "127.0.0.1:1", "--listen", f"127.0.0.1:{port}")
        assert str(port) in line and re.search("--listen|listen", line), line


def test_help_goes_to_standard_output():
    code, output, errors = run("--help")
    assert code == 0 and errors == ""
    for command in [b"serve", b"demo", b"metrics"]:
        assert command in output


def test_the_demo_shows_its_stories_and_ends_cleanly():
    """`make run` starts it in the foreground; Ctrl-C ends all of it."""
    port = processes.free_port()
    demo = processes.start(
        [PROGRAM, "demo", "--listen", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        page = processes.wait_until(lambda: demo_page(port), what="the demo's page")
    finally:
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, output
    assert f"http://127.0.0.1:{port}".encode() in output, output
    groups = {labels["consumergroup"] for labels, _ in page.family("kafka_consumergroup_lag_sum")}
    assert len(groups) >= 5, groups


def demo_page(port):
    """The demo's metrics once every story's group has a lag; None before."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            page = exposition.parse(answer.read())
    except OSError:
        return None
    groups = page.by("kafka_consumergroup_lag_sum", "consumergroup", "topic")
    return page if len({group for group, _ in groups}) >= 5 else None
