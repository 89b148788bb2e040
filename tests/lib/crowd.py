"""A cluster with as many groups as one likes, as Tidemark would show it: for what has to bear a crowd."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONDITIONS = re.findall(r'CONDITION\(\w+, "(\w+)"', (ROOT / "exporter/findings.h").read_text())
_VALUES = {
    "cluster": "big", "version": "1", "kind": "kafka", "librdkafka_version": "2", "offsets": "followed", "rebalances": "exact",
    "stage": "offsets", "id": "1", "address": "broker", "cleanup_policy": "delete", "state": "Stable",
}


def series(metric, groups, partitions=2):
    """The labels of each series of a metric of the catalogue, for groups that read a topic of their own each, and of
    whose conditions one each is true."""
    for i in range(groups):
        values = {**_VALUES, "consumergroup": f"group-{i}", "topic": f"topic-{i}", "condition": CONDITIONS[i % len(CONDITIONS)]}
        own = {name: values[name] for name in metric["labels"] if name != "partition"}
        if "partition" in metric["labels"]:
            yield from ({**own, "partition": str(partition)} for partition in range(partitions))
        else:
            yield own
        if not {"consumergroup", "topic"} & set(own):
            return
