"""The page, as strict readers see it."""

import re
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

import exposition
from daemon import Daemon, run
from kafka_traffic import commit, members, produce


@pytest.fixture(scope="module")
def busy_page(kafka):
    """The bytes of a page with live and empty groups, several topics and partitions."""
    kafka.create_topic("page-orders", 3, cleanup_policy="compact")
    kafka.create_topic("page-clicks", 2, retention_ms=3600000)
    produce(kafka, "page-orders", {0: 10, 1: 20}, key=b"k")
    produce(kafka, "page-clicks", {0: 5})
    commit(kafka, "page-left", "page-orders", {0: 4, 1: 20})
    commit(kafka, 'page-"odd"\n', "page-clicks", {0: 4})
    with members(kafka, "page-live", ["page-clicks"], 3), Daemon("--kafka", kafka.bootstrap) as daemon:
        where = {"cluster": "default", "consumergroup": "page-live"}
        daemon.page_when(lambda page: page.get_int("kafka_consumergroup_members", **where) == 3)
        yield daemon.get("/metrics")


def test_promtool_remarks_on_the_two_inherited_names_only(busy_page):
    checked = subprocess.run(["promtool", "check", "metrics"], input=busy_page, capture_output=True)
    remarks = (checked.stdout + checked.stderr).decode().strip().splitlines()
    assert checked.returncode in (0, 3), remarks
    inherited = re.compile(r"kafka_consumergroup_(current_offset|lag)_sum .*\"_sum\" suffix")
    assert [remark for remark in remarks if not inherited.match(remark)] == []


def test_prometheus_own_parser_reads_the_same_as_ours(busy_page):
    page = exposition.parse(busy_page)
    theirs = {}
    for family in text_string_to_metric_families(busy_page.decode()):
        assert family.documentation and family.type in ("gauge", "counter"), family
        for sample in family.samples:
            theirs[(sample.name, frozenset(sample.labels.items()))] = sample.value
    assert theirs == {series: float(value) for series, value in page.items()}


def test_every_series_names_its_cluster(busy_page):
    """All but those about the process itself."""
    for name, labels in exposition.parse(busy_page):
        if not name.startswith(("process_", "tidemark_build_info", "tidemark_page_", "tidemark_config_", "tidemark_series")):
            assert dict(labels).get("cluster") == "default", (name, labels)


def test_all_names_on_the_page_are_in_the_catalogue(busy_page):
    code, output, errors = run("metrics")
    assert code == 0, errors
    page = exposition.parse(busy_page)
    for name in page.types:
        assert re.search(rf"\b{name}\b", output.decode()), name
        assert page.helps[name], name
