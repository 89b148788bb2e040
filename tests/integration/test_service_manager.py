"""What systemd, or another that speaks sd_notify(3), hears from the daemon, and how fast the daemon ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import processes
from daemon import Daemon
from store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
EXPOSURE_LIMIT = 2.0  # of 10, by `systemd-analyze security`: what remains is the network and a user


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.create("orders")
    store.append("orders", 10)
    store.commit("billing", "orders", 3)
    return store


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """A service manager's end: next() gives the state that comes next, as a dictionary."""
    address = str(tmp_path / "notify") if request.param == "path" else f"\0tidemark-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(address)
        end.settimeout(120)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))

        def next_state():
            return dict(line.split("=", 1) for line in end.recv(4096).decode().splitlines())

        yield next_state


def test_the_manager_is_told_of_start_reload_and_end(manager, store):
    with Daemon("--logstore", store.folder) as daemon:
        assert manager() == {"READY": "1"}
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.process.send_signal(signal.SIGHUP)
        reloading = manager()
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert manager() == {"READY": "1"}
        daemon.process.send_signal(signal.SIGTERM)
        assert manager() == {"STOPPING": "1"}
        assert daemon.stop() == 0


def test_the_watchdog_hears_that_it_is_alive(manager, store, monkeypatch):
    """Twice in the time that the manager allows, and no more often."""
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    begun = time.monotonic()  # what it says before we listen waits for us
    with Daemon("--logstore", store.folder):
        assert manager() == {"READY": "1"}
        for _ in range(10):
            assert manager() == {"WATCHDOG": "1"}
        assert time.monotonic() - begun >= 10 * 0.2


def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(manager, store, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with Daemon("--logstore", store.folder) as daemon:
        assert manager() == {"READY": "1"}
        time.sleep(0.5)
        daemon.process.send_signal(signal.SIGTERM)
        assert manager() == {"STOPPING": "1"}


def test_nobody_listens_on_the_managers_socket(store, monkeypatch, tmp_path):
    """The daemon runs all the same, and says so."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with Daemon("--logstore", store.folder) as daemon:
        daemon.page_when(lambda page: page.get_int("tidemark_source_up", cluster="default") == 1)
        said = 'msg="the service manager can\'t be told" state=READY=1'
        processes.wait_until(lambda: said in daemon.logged().replace('"READY=1"', "READY=1"), what="the complaint")


def test_a_source_that_hangs_does_not_hold_up_the_end():
    """Something accepts connections on the broker's port and never answers."""
    with socket.create_server(("127.0.0.1", processes.free_port())) as silent:
        with Daemon("--kafka", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "10m") as daemon:
            connection, _ = silent.accept()
            begun = time.monotonic()
            assert daemon.stop() == 0
            # Two seconds are promised; the rest is for a busy machine.
            assert time.monotonic() - begun < 20
            connection.close()


def test_less_grave_messages_are_left_out(store):
    with Daemon("--logstore", store.folder, "--logstore", "gone=/nonexistent", "--log-level", "error") as daemon:
        daemon.page_when(lambda page: page.get_int("tidemark_source_up", cluster="default") == 1)
        processes.wait_until(lambda: "source is down" in daemon.logged())
    assert set(re.findall(r"level=(\w+)", daemon.logged())) == {"error"}


def last_success(page):
    return float(page.get_text("tidemark_source_last_success_timestamp_seconds", cluster="default"))


def test_each_thing_is_logged_once_and_not_once_a_poll(store):
    """Ten polls of a source that is up, and several of one that is down."""
    with Daemon("--logstore", store.folder, "--logstore", "gone=/nonexistent", poll_interval="100ms") as daemon:
        daemon.wait_ready()
        for _ in range(10):
            before = last_success(daemon.page())
            daemon.page_when(lambda page: last_success(page) > before)
        daemon.page_when(lambda page: sum(page.by("tidemark_poll_errors_total", "cluster", "stage").values()) >= 3)
    messages = re.findall(r'msg=("[^"]*"|\S+)', daemon.logged())
    assert sorted(messages) == sorted(set(messages)), messages
    assert {"listening", '"source is up"', '"source is down"', "ending"} == set(messages)


def test_the_unit_is_right_and_confines_the_daemon(tmp_path):
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: run `make test`, which installs it"
    program = tmp_path / "tidemark"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "tidemark.service"
    unit.write_text((ROOT / "packaging/tidemark.service.in").read_text().replace("@BINDIR@", str(tmp_path)))
    verified = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True)
    assert verified.returncode == 0 and "tidemark.service" not in verified.stderr, verified.stderr
    judged = subprocess.run([analyze, "security", "--offline=true", unit], capture_output=True, text=True)
    exposure = re.search(r"Overall exposure level for tidemark.service: ([\d.]+)", judged.stdout)
    assert exposure and float(exposure[1]) <= EXPOSURE_LIMIT, judged.stdout + judged.stderr
