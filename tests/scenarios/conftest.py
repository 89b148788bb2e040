"""Every scenario is a story that is played twice: on the bundled log store and on a Kafka broker. The broker is
one for all of them, whatever the number of pytest's workers: the process that starts them has it."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))
sys.path.insert(0, str(ROOT / "tests/scenarios"))

import sources  # noqa: E402
from kafka_broker import Cluster, Running  # noqa: E402


def kafka_jars():
    folder = Path(os.environ.get("KAFKA") or max((ROOT / "build").glob("kafka-*"), default="build/kafka"))
    assert folder.is_dir(), f"{folder} is missing: run `make kafka`"
    return folder


def pytest_configure(config):
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    config.scenario_cluster = Cluster(kafka_jars(), settings={"log.cleaner.min.cleanable.ratio": "0.01"})
    os.environ["SCENARIO_KAFKA"] = config.scenario_cluster.bootstrap


def pytest_unconfigure(config):
    cluster = getattr(config, "scenario_cluster", None)
    if cluster:
        cluster.close()


@pytest.fixture(params=["logstore", "kafka"])
def source(request, tmp_path):
    """A sources.Source for this story alone."""
    story = request.node.path.stem.removeprefix("test_").replace("_", "-")
    if request.param == "kafka":
        made = sources.Kafka(story, Running(os.environ["SCENARIO_KAFKA"]))
    else:
        made = sources.LogStore(story, tmp_path)
    yield made
    made.close()
