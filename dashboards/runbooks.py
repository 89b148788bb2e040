"""Each runbook of the alerts as a dashboard, so that links to it work wherever Grafana runs; on top, where its condition
is true now."""

import math

from catalogue import ROOT
from common import CLUSTERS, GROUPS, RUNBOOK, cluster_variable, group_variable, row_to_group
from grafana import Column, Label, Row, dashboard, table, text

FOLDER = ROOT / "alerts/runbooks"
LINE = 150  # characters that fit beside each other, about


def _lines(markdown):
    return sum(max(1, math.ceil(len(line) / LINE)) for line in markdown.splitlines())


def _where(q, condition):
    labels = [Label("cluster", "Cluster"), Label("consumergroup", "Group", row_to_group()), Label("topic", "Topic"),
              Label("partition", "Partition")]
    since = q.value("kafka_consumergroup_condition_since_timestamp_seconds", CLUSTERS, GROUPS, f'condition="{condition}"')
    return table("Where it is true now", "The fifty places where it has been true for longest. Click a group for its details.",
                 labels, [Column(f"time() - bottomk(50, {since})", "For", "s")], "Nowhere", sort="For", hidden=["condition"],
                 height=6)


def _build(q, path, conditions):
    title, markdown = path.read_text().removeprefix("# ").split("\n", 1)
    shown = [text(title, "What it means, how to confirm it, what to do, and how to keep it from coming back.", markdown.strip(),
                  height=math.ceil(0.7 * _lines(markdown)) + 2)]
    if path.stem in conditions:
        shown.insert(0, _where(q, path.stem))
    return dashboard(RUNBOOK + path.stem, f"Tidemark / Runbook: {title}", f"What to do about {path.stem}.",
                     [cluster_variable(), group_variable(CLUSTERS)], [Row("Runbook", shown)], alerts=(CLUSTERS, GROUPS),
                     tags=["tidemark-runbook"])


def build(q):
    conditions = {condition for of_grade in q.conditions.values() for condition in of_grade}
    return [_build(q, path, conditions) for path in sorted(FOLDER.glob("*.md"))]
