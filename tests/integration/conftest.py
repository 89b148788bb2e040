"""What all whole-program tests share. TIDEMARK names the program, KAFKA the folder with a broker's jars."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from kafka_broker import Cluster  # noqa: E402


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
