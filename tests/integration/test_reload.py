"""Another configuration without another start: by SIGHUP, and by POST /-/reload."""

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import exposition
import processes
from daemon import PROGRAM, Daemon
from store import Store

RELOADED = "tidemark_config_last_reload_successful"


@pytest.fixture
def stores(tmp_path):
    """Two stores, in each of which a group without members has 7 messages to read."""
    made = {}
    for name in ("east", "west"):
        store = made[name] = Store(tmp_path / name)
        for topic in ("orders", "clicks"):
            store.create(topic)
            store.append(topic, 10)
            store.commit("billing", topic, 3)
    return made


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "tidemark.json"

    def write(content):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def source(store, name, **settings):
    return {"name": name, "logstore": store.folder, **settings}


def post(daemon, path="/-/reload"):
    """Status and text of the answer."""
    request = urllib.request.Request(daemon.url + path, method="POST", data=b"")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def topics(page):
    return set(page.by("kafka_topic_partitions", "cluster", "topic"))


def lag(page, cluster, topic="orders"):
    where = {"cluster": cluster, "consumergroup": "billing", "topic": topic, "partition": "0"}
    return page.get_int("kafka_consumergroup_lag", **where)


def last_success(page, cluster):
    return float(page.get_text("tidemark_source_last_success_timestamp_seconds", cluster=cluster))


class Scraper:
    """Scrapes all the time; `pages` are all that came."""

    def __init__(self, daemon):
        self.daemon, self.pages, self.failures, self.ended = daemon, [], [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.ended.is_set():
            try:
                self.pages.append(exposition.parse(self.daemon.get("/metrics")))
            except Exception as error:  # noqa: BLE001 - every failure counts
                self.failures.append(error)
            self.ended.wait(0.005)

    def wait(self):
        """Until one more scrape is over."""
        before = len(self.pages) + len(self.failures)
        processes.wait_until(lambda: len(self.pages) + len(self.failures) > before, what="another scrape", pause=0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_sources_come_go_and_change_without_losing_history_or_a_scrape(stores, write):
    """A group has stopped. Then, again and again, a filter of its source changes and another source comes and goes."""
    kept = source(stores["east"], "kept")
    filtered = {**kept, "topics": {"include": ["orders"]}}
    other = source(stores["west"], "other")
    rules = {"stopped_after": "1s"}

    def stopped_since(page):
        name = "kafka_consumergroup_condition_since_timestamp_seconds"
        return page.by(name, "cluster", "condition", "topic").get(("kept", "stopped", ""))

    with Daemon("--config", write({"sources": [kept], "rules": rules})) as daemon:
        first = stopped_since(daemon.page_when(stopped_since))
        with Scraper(daemon) as scraper:
            for _ in range(5):
                write({"sources": [other, filtered], "rules": rules})
                daemon.process.send_signal(signal.SIGHUP)
                expected = {("kept", "orders"), ("other", "orders"), ("other", "clicks")}
                page = daemon.page_when(lambda page: topics(page) == expected and lag(page, "other") == 7)
                assert stopped_since(page) == first
                write({"sources": [kept], "rules": rules})
                daemon.process.send_signal(signal.SIGHUP)
                scraper.wait()
                daemon.page_when(lambda page: topics(page) == {("kept", "orders"), ("kept", "clicks")})
        assert not scraper.failures and len(scraper.pages) >= 5
        for page in scraper.pages:
            assert lag(page, "kept") == 7
            assert page.get_int("tidemark_source_up", cluster="kept") == 1
            assert page.get_int(RELOADED) == 1
        assert stopped_since(daemon.page()) == first
        processes.wait_until(lambda: daemon.logged().count("configuration reloaded") == 10, what="ten reloads in the log")
        # The collector that was closed and the one that was opened belong to the same poller: it was never down.
        assert daemon.logged().count('msg="source is up" cluster=kept') == 1, daemon.logged()


def test_rules_change_for_pollers_that_go_on(stores, write):
    """Nothing but a rule changes: from being fine with 7 old messages to falling behind."""
    sources = [source(stores["east"], "east")]
    with Daemon("--config", write({"sources": sources, "rules": {"stopped_after": "10h"}})) as daemon:
        condition = {"cluster": "east", "consumergroup": "billing", "condition": "stopped"}
        name = "kafka_consumergroup_condition"
        daemon.page_when(lambda page: page.get_int(name, **condition) == 0)
        write({"sources": sources, "rules": {"stopped_after": "100ms"}})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.page_when(lambda page: page.get_int(name, **condition) == 1)


@pytest.mark.parametrize(
    "bad, named",
    [
        ("{", "line 1"),
        ({"sources": []}, "nothing to watch"),
        ({"sources": [{"name": "new", "kafka": "127.0.0.1:1", "properties": {"no.such.property": "1"}}]}, "no.such.property"),
    ],
    ids=["no JSON", "no source", "a source that can't work"],
)
def test_a_bad_file_leaves_the_configuration_in_force(stores, write, bad, named):
    good = {"sources": [source(stores["east"], "east")]}
    with Daemon("--config", write(good), "--web.enable-lifecycle") as daemon:
        page = daemon.page_when(lambda page: lag(page, "east") == 7)
        assert page.get_int(RELOADED) == 1
        write(bad)
        status, text = post(daemon)
        assert status == 500 and named in text, text
        page = daemon.page()
        assert page.get_int(RELOADED) == 0 and lag(page, "east") == 7
        assert "level=error" in daemon.logged() and named in daemon.logged()
        write(good)
        assert post(daemon) == (200, "reloaded\n")
        page = daemon.page()
        assert page.get_int(RELOADED) == 1 and lag(page, "east") == 7


def test_a_file_that_became_a_fifo_holds_up_nothing(stores, write):
    """Nobody writes into it: the configuration in force stays, and so does what is served."""
    path = write({"sources": [source(stores["east"], "east")]})
    with Daemon("--config", path, "--web.enable-lifecycle") as daemon:
        daemon.page_when(lambda page: lag(page, "east") == 7)
        os.unlink(path)
        os.mkfifo(path)
        status, text = post(daemon)
        assert status == 500 and "no regular file" in text, text
        assert lag(daemon.page(), "east") == 7


def test_reloading_by_http_has_to_be_enabled(stores):
    with Daemon("--logstore", stores["east"].folder) as daemon:
        status, text = post(daemon)
        assert status == 403 and "--web.enable-lifecycle" in text
        with pytest.raises(urllib.error.HTTPError) as refused:
            daemon.get("/-/reload")
        assert refused.value.code == 405 and refused.value.headers["Allow"] == "POST"


def test_what_needs_a_restart_is_said(stores, write, tmp_path):
    """All that can't change meanwhile is changed in the file; the rest of it is in force at once."""
    sources = [source(stores["east"], "east")]
    with Daemon("--config", write({"sources": sources}), "--web.enable-lifecycle") as daemon:
        changed = {"cluster_label": "kafka_cluster", "state_dir": str(tmp_path / "state"), "record": str(tmp_path / "record")}
        (tmp_path / "state").mkdir()
        write({"sources": [*sources, source(stores["west"], "west")], **changed, "log_format": "json"})
        assert post(daemon) == (200, "reloaded\n")
        assert '"msg":"some settings change at the next start only","settings":"cluster_label,state_dir,record"' in daemon.logged()
        assert lag(daemon.page_when(lambda page: lag(page, "east") == 7), "east") == 7
        daemon.page_when(lambda page: ("west", "orders") in topics(page))
        assert not list((tmp_path / "state").iterdir()), "a source that comes later doesn't use it either"
        write({"sources": sources, "log_format": "logfmt"})
        assert post(daemon) == (200, "reloaded\n")
        assert daemon.logged().count("next start") == 1


def test_a_hundred_reloads_leave_nothing_behind(stores, write):
    """Every reload changes a source of each kind, and adds or removes another."""
    dead = f"127.0.0.1:{processes.free_port()}"

    def content(round):
        changing = {"topics": {"exclude": [f"never-{round}"]}}
        sources = [
            source(stores["east"], "east", **changing),
            {"name": "dead", "kafka": dead, "timeout": "100ms", **changing},
        ]
        return {"sources": sources + [source(stores["west"], "west")] * (round % 2), "timeout": "500ms"}

    def settled(rounds):
        """The page after those reloads, each of which had its effect, when what the last one opened was polled."""
        for round in rounds:
            write(content(round))
            assert post(daemon)[0] == 200
            daemon.page_when(lambda page: ("west", "orders") in topics(page) or not round % 2)
        for _ in range(2):  # the first may have been under way already
            before = last_success(daemon.page(), "east")
            daemon.page_when(lambda page: last_success(page, "east") > before)
        return daemon.page_when(lambda page: lag(page, "east") == 7)

    def resident(page):
        return page.get_int("process_resident_memory_bytes")

    with Daemon("--config", write(content(0)), "--web.enable-lifecycle") as daemon:
        before = settled(range(1, 41))
        fds = before.get_int("process_open_fds")
        settled(range(41, 141))
        # What a reload closes may end a little later: the numbers have to come back.
        daemon.page_when(lambda page: page.get_int("process_open_fds") <= fds + 2)
        # The address sanitizer keeps freed memory for a while; but at the end it tells what was never freed.
        if b"__asan_init" not in Path(PROGRAM).read_bytes():
            daemon.page_when(lambda page: resident(page) <= resident(before) * 1.15 + 1_000_000)
