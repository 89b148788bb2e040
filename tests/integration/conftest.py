"""What all whole-program tests share. TIDEMARK names the program, KAFKA the folder with a broker's jars."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from kafka_broker import Cluster, version_of  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "once: not for each build of the program, since it is about something else")
    config.addinivalue_line("markers", "since(major, minor): about what Kafka has from that version on")
    separate_reports()


def separate_reports():
    """Several workers share the tests out among themselves: each gets a folder of its own for what sanitizers
    report, so that a report fails the test that caused it."""
    worker, reports = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("TIDEMARK_SANITIZER_REPORTS")
    if worker and reports:
        folder = Path(reports) / worker
        folder.mkdir(exist_ok=True)
        os.environ["TIDEMARK_SANITIZER_REPORTS"] = str(folder)
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            os.environ[name] = os.environ[name].replace(f"log_path={reports}/", f"log_path={folder}/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What shares a broker runs in one worker, so that there is one of them, and begins first, since it takes
    longest; what has a broker of its own, or shares nothing with its file, goes wherever there is room."""

    def group(item):
        if "kafka" in item.fixturenames:
            return "kafka"
        return item.nodeid if "own_kafka" in item.fixturenames else item.path.name

    def is_wanted(item):
        since = item.get_closest_marker("since")
        again = os.environ.get("TIDEMARK_AGAIN") and item.get_closest_marker("once")
        return not again and (since is None or version_of(kafka_jars()) >= since.args)

    items[:] = [item for item in items if is_wanted(item)]
    items.sort(key=lambda item: ("kafka" not in item.fixturenames, "own_kafka" not in item.fixturenames))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))


def kafka_jars():
    folder = Path(os.environ.get("KAFKA") or max((ROOT / "build").glob("kafka-*"), default="build/kafka"))
    assert folder.is_dir(), f"{folder} is missing: run `make kafka`"
    return folder


@pytest.fixture(scope="session")
def kafka():
    """The one broker that all tests share: each makes topics and groups of its own."""
    with Cluster(kafka_jars()) as cluster:
        yield cluster


@pytest.fixture
def own_kafka():
    """Starts brokers for this test alone, to be killed or paused: own_kafka(settings…) gives a Cluster."""
    clusters = []

    def start(**options):
        clusters.append(Cluster(kafka_jars(), **options))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.close()


@pytest.fixture(autouse=True)
def no_sanitizer_reports():
    """A report that a process of this test left fails this test."""
    folder = Path(os.environ.get("TIDEMARK_SANITIZER_REPORTS", "/nonexistent"))
    before = set(folder.glob("report.*"))
    yield
    reports = sorted(set(folder.glob("report.*")) - before)
    texts = [report.read_text(errors="replace") for report in reports]
    for report in reports:
        report.unlink()
    assert not texts, "\n".join(texts)
