"""Reads Grafana dashboards as Grafana would: their panels, their queries, and the values of their variables."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "dashboards/json"

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass
class Query:
    """One expression, and what it is there for."""

    dashboard: dict
    panel: dict  # None for a variable's and an annotation's
    name: str  # of the panel with its type and the query's letter, of the variable or of the annotation
    expression: str
    instant: bool = True
    legend: str = ""

    def __str__(self):
        return f"{self.dashboard['title']}: {self.name}"


def dashboards():
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels(dashboard):
    """Its panels without the rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard):
    return dashboard["templating"]["list"]


def panel_queries(dashboard, panel):
    return [
        Query(dashboard, panel, f"{panel['title']} ({panel['type']}) {target['refId']}", target["expr"], target["instant"],
              target.get("legendFormat", ""))
        for target in panel.get("targets", [])
    ]


def variable_query(variable):
    """(selector, label) of a variable that is a label's values; None for another kind of variable."""
    if variable["type"] != "query":
        return None
    return _LABEL_VALUES.fullmatch(variable["query"]["query"]).groups()


def queries(dashboard):
    """All of its expressions: panels', variables' and annotations'."""
    found = [query for panel in panels(dashboard) for query in panel_queries(dashboard, panel)]
    for variable in variables(dashboard):
        if variable_query(variable):
            found.append(Query(dashboard, None, f"variable {variable['name']}", variable_query(variable)[0]))
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            found.append(Query(dashboard, None, f"annotation {annotation['name']}", annotation["expr"]))
    return found


def used_variables(expression):
    return {plain or braced for plain, braced in _VARIABLE.findall(expression)}


def interpolate(expression, values):
    """The expression with the variables' values in it."""
    return _VARIABLE.sub(lambda match: str(values[match.group(1) or match.group(2)]), expression)
