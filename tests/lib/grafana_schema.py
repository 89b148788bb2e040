#!/usr/bin/python3
"""Checks dashboards against the schema that Grafana publishes as its foundation SDK.

    PYTHONPATH=SDK tests/lib/grafana_schema.py FILE…    a line for each violation; exit code 1 if there is one

The SDK's classes read whatever they are given. So their annotations are taken for the schema: what has a key or a
type that the class doesn't declare is a violation. One process knows one version of the SDK.
"""

import enum
import functools
import importlib
import json
import sys
import types
import typing
from pathlib import Path

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus

# Keys that the schema lacks and Grafana reads: (class, key).
UNDECLARED = {
    # Prometheus' own settings of an annotation, as Grafana saves them:
    # https://grafana.com/docs/grafana/latest/datasources/prometheus/annotations/
    ("AnnotationQuery", "titleFormat"),
    ("AnnotationQuery", "textFormat"),
    ("AnnotationQuery", "step"),
    # An annotation's target is the data source's query; the schema has that of Grafana's own data source.
    ("AnnotationTarget", "refId"),
    ("AnnotationTarget", "expr"),
    ("AnnotationTarget", "interval"),
}

PRIMITIVES = {str: str, bool: bool, int: int, float: (int, float)}


@functools.lru_cache(maxsize=None)
def fields(cls):
    """{JSON key: annotation} of one of the SDK's classes."""
    annotations = typing.get_type_hints(cls)
    instance = cls()
    for attribute in annotations:
        setattr(instance, attribute, ("value of", attribute))
    return {key: annotations[value[1]] for key, value in instance.to_json().items()
            if isinstance(value, tuple) and value[0] == "value of"}


def check_object(cls, value, path):
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {cls.__name__}"]
    found = []
    for key, inner in value.items():
        if key in fields(cls):
            found += check(fields(cls)[key], inner, f"{path}.{key}")
        elif (cls.__name__, key) not in UNDECLARED:
            found.append(f"{path}.{key}: {cls.__name__} has no such key")
    return found


def check_union(options, value, path):
    complaints = [check(option, value, path) for option in options]
    return min(complaints, key=len) if all(complaints) else []


def check(annotation, value, path):
    """What is wrong with the value, as lines that begin with its path."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (typing.Any, object) or annotation is None:
        return []
    if origin in (typing.Union, types.UnionType):
        return check_union(arguments, value, path)
    if origin is typing.Literal:
        return [] if value in arguments else [f"{path}: {value!r} is none of {arguments}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [line for i, item in enumerate(value) for line in check(arguments[0], item, f"{path}[{i}]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no object"]
        return [line for key, item in value.items() for line in check(arguments[1], item, f"{path}.{key}")]
    if annotation is type(None):
        return [] if value is None else [f"{path}: {value!r} is not null"]
    if annotation in PRIMITIVES:
        fits = isinstance(value, PRIMITIVES[annotation]) and (annotation is bool or not isinstance(value, bool))
        return [] if fits else [f"{path}: {value!r} is no {annotation.__name__}"]
    if issubclass(annotation, enum.Enum):
        return [] if value in {item.value for item in annotation} else [f"{path}: {value!r} is no {annotation.__name__}"]
    if annotation.__name__ == "Dataquery":
        return check_object(prometheus.Dataquery, value, path)
    if annotation is model.Panel and isinstance(value, dict):
        return check_panel(value, path)
    return check_object(annotation, value, path)


def check_panel(panel, path):
    """What is common to all panels, and what is this kind's own: its options, and its fields' `custom`."""
    found = check_object(model.Panel, panel, path)
    if panel.get("type") == "row":
        return found
    try:
        kind = importlib.import_module(f"grafana_foundation_sdk.models.{panel['type'].replace('-', '')}")
    except ImportError:
        return [*found, f"{path}.type: there is no panel {panel['type']!r}"]
    found += check_object(kind.Options, panel["options"], f"{path}.options")
    if hasattr(kind, "FieldConfig"):
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        found += check(kind.FieldConfig, custom, f"{path}.fieldConfig.defaults.custom")
    return found


def main():
    violations = []
    for name in sys.argv[1:]:
        read = json.loads(Path(name).read_text())
        violations += check_object(model.Dashboard, read, Path(name).name)
    print("\n".join(violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
