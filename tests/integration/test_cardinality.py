"""How many series a page has is up to the user: by flags, by the configuration, by what a scraper asks for."""

import gzip
import json
import subprocess

import pytest

import exposition
import processes
from daemon import PROGRAM, Daemon, run

GROUPS = 8


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A log store with one topic of four partitions, on which eight groups have committed."""
    store = tmp_path_factory.mktemp("cardinality") / "store"

    def log(*arguments, text=""):
        subprocess.run([PROGRAM, "log", *arguments], input=text, text=True, check=True, timeout=60)

    log("create", store, "orders", "--partitions", "4")
    log("append", store, "orders", text="message\n" * 40)
    for group in range(GROUPS):
        for partition in range(4):
            log("commit", store, f"group-{group}", "orders", str(partition), "0", "--fsync", "never")
    return store


def groups_of(page):
    return sorted(labels["consumergroup"] for labels, _ in page.family("kafka_consumergroup_rebalances_total"))


def all_groups(page):
    return len(page.family("kafka_consumergroup_rebalances_total")) == GROUPS


def test_a_scraper_asks_for_some_groups(store):
    with Daemon("--logstore", str(store)) as daemon:
        daemon.page_when(all_groups)
        for query, expected in [
            ("group=group-3", ["group-3"]),
            ("group=group-3&group=group-5", ["group-3", "group-5"]),
            ("group=*-3&cluster=default", ["group-3"]),
            ("group=group%2D3", ["group-3"]),
            ("group=nobody", []),
            ("cluster=elsewhere", []),
            ("other=group-3", [f"group-{i}" for i in range(GROUPS)]),
        ]:
            plain = daemon.get(f"/metrics?{query}")
            assert groups_of(exposition.parse(plain)) == expected, query
            packed = gzip.decompress(daemon.get(f"/metrics?{query}", **{"Accept-Encoding": "gzip"}))
            assert groups_of(exposition.parse(packed)) == expected, query


def test_flags_make_the_page_smaller(store):
    flags = ["--granularity", "group", "--metrics-exclude", "process_.*", "--metrics-exclude", "kafka_.*_members"]
    code, output, errors = run("serve", "--logstore", str(store), "--once", *flags)
    assert code == 0, errors
    page = exposition.parse(output)
    where = {"cluster": "default", "consumergroup": "group-0"}
    assert page.get_int("kafka_consumergroup_lag_sum", **where) == 40
    assert all("topic" not in dict(labels) or "condition" in dict(labels) for _, labels in page)
    assert not any(name.startswith("process_") or name.endswith("_members") for name, _ in page)
    assert page.get_int("tidemark_series") == len(page)


def test_a_page_may_be_empty(store):
    code, output, errors = run("serve", "--logstore", str(store), "--once", "--metrics-include", "none")
    assert (code, output) == (0, b""), errors


def test_the_limit_is_kept_and_said_once(store, tmp_path):
    """The configuration allows half of the series, and then, after a reload, all of them."""
    everything = exposition.parse(run("serve", "--logstore", str(store), "--once")[1])
    limit = len(everything) // 2
    file = tmp_path / "tidemark.json"

    def configure(**settings):
        file.write_text(json.dumps({"sources": [{"name": "s", "logstore": str(store)}], **settings}))

    configure(max_series=limit)
    with Daemon("--config", str(file), "--web.enable-lifecycle") as daemon:
        page = daemon.page_when(lambda page: page.get_int("tidemark_series_dropped") > 0)
        assert len(page) == page.get_int("tidemark_series") <= limit
        assert 0 < len(groups_of(page)) < GROUPS
        for _ in range(5):
            daemon.page()
        assert daemon.logged().count("max_series") == 1
        configure(granularity="topic")
        processes.run(["curl", "-sfX", "POST", daemon.url + "/-/reload"])
        page = daemon.page_when(lambda page: page.get_int("tidemark_series_dropped") == 0 and all_groups(page))
        page = daemon.page_when(lambda page: page.family("kafka_consumergroup_lag") == [])
        assert page.family("kafka_consumergroup_lag_sum")


@pytest.mark.parametrize("flag, value", [("granularity", "finest"), ("max-series", "-1"), ("metrics-include", "(")])
def test_nonsense_is_refused(store, flag, value):
    code, _, errors = run("serve", "--logstore", str(store), "--once", f"--{flag}", value)
    assert code == 2 and flag in errors and value in errors, errors
