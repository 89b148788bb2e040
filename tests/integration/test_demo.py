"""`tidemark demo` as a whole: its stories are there, and nothing of it is left, however it ends."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

import exposition
import processes
from daemon import PROGRAM, run

GROUPS = {
    "warehouse", "invoices", "reports", "mailer", "fraud-check", "search-index", "directory", "loyalty",
    "recommendations", "notifications", "audit", "billing", "storefront",
}


class Demo:
    """The demo in a temporary folder of the test's own, on a port of its own."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.port = processes.free_port()
        listen = arguments or ("--listen", f"127.0.0.1:{self.port}")
        self.process = processes.start(
            [PROGRAM, "demo", *listen],
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def page(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
                return exposition.parse(answer.read())
        except OSError as error:
            raise AssertionError(f"no answer yet: {error}") from error

    def children(self):
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def stop(self, how):
        self.process.send_signal(how)
        return self.process.wait(60)


def groups_on(page):
    return {dict(labels)["consumergroup"] for name, labels in page if name == "kafka_consumergroup_current_offset"}


def alive(children):
    """Those that still run; who has ended but was not waited for yet is no longer alive."""
    running = set()
    for pid in children:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            running.add(pid)
    return running


def test_the_stories_happen_and_ctrl_c_ends_them(tmp_path):
    """All groups are there; then the user presses Ctrl-C."""
    with Demo(tmp_path) as demo:
        processes.wait_until(lambda: groups_on(demo.page()) == GROUPS, what="the groups")
        children = demo.children()
        assert children
        assert demo.stop(signal.SIGINT) == 0
    assert not alive(children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_it_starts_leaves_no_folder(tmp_path, after):
    """The user presses Ctrl-C while the store is still being filled."""
    with Demo(tmp_path) as demo:
        time.sleep(after)
        demo.stop(signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_kill_9_ends_the_children_too(tmp_path):
    """The parent can clean up nothing, but its processes end with it."""
    with Demo(tmp_path) as demo:
        processes.wait_until(lambda: demo.page() and len(demo.children()) > 1, what="the demo's processes")
        children = demo.children()
        demo.stop(signal.SIGKILL)
        processes.wait_until(lambda: not alive(children), what="the end of the children")
        left = set(tmp_path.iterdir())
        assert left
    # The next demo cleans up, and leaves alone what one that lives still needs.
    with Demo(tmp_path) as living:
        processes.wait_until(living.page, what="the next demo")
        assert not left & set(tmp_path.iterdir())
        with Demo(tmp_path) as another:
            processes.wait_until(another.page, what="a demo beside it")
            assert len(set(tmp_path.iterdir())) == 2
            assert another.stop(signal.SIGINT) == 0
        assert living.stop(signal.SIGINT) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--kafka=127.0.0.1:9092", "--logstore=/tmp", "--config=x.json", "--timeout=1s", "--once"])
def test_flags_of_serve_that_would_do_nothing_are_refused(flag):
    """The demo watches its own store, so a user who names another one is told instead of misled."""
    code, output, errors = run("demo", flag)
    assert (code, output) == (2, b"")
    assert flag in errors and "--help" in errors


def test_an_address_that_was_asked_for_has_to_be_had(tmp_path):
    """Somebody else listens where the user wants the demo."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with Demo(tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}") as demo:
            assert demo.process.wait(60) == 2
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_once_without_waiting_for_the_source():
    """The broker's port takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = processes.start(
            [PROGRAM, "serve", "--once", "--timeout", "10m", "--kafka", f"127.0.0.1:{silent.getsockname()[1]}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        silent.accept()[0].close()  # it is at work now
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) != 0
        finally:
            process.kill()
            process.wait()
