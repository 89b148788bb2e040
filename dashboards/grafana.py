"""Grafana's dashboard JSON from a few words a panel, so that all panels look and behave alike.

Every panel needs a title, a unit, a description that says what to do, and a text for when there is no data: they are
arguments without a default. https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from dataclasses import dataclass

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 38  # Grafana 10.0's; later ones migrate it when they load it
WIDTH = 24

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

# Thresholds, as (color, from) pairs: the objective of a share of itself, of what should be none, of what says nothing.
OBJECTIVE = [(GREEN, None), (YELLOW, 0.8), (RED, 1)]
WITHIN_OBJECTIVE = [(RED, None), (GREEN, 0.99)]  # the share that the alerts on its budget are made for
# Of the time that the topic keeps a message: what is left of it to the reader. Red is the rule horizon_share.
RETENTION_LEFT = [(RED, None), (ORANGE, 0.25), (GREEN, 0.5)]
NONE_WANTED = [(GREEN, None), (RED, 1)]
FEW_WANTED = [(GREEN, None), (ORANGE, 1)]
NEUTRAL = [(BLUE, None)]

SEVERITIES = {"1": ("critical", RED), "2": ("warning", ORANGE), "3": ("info", BLUE)}
GRADES = {"3": ("critical", RED), "2": ("warning", ORANGE), "1": ("info", BLUE), "0": ("ok", GREEN)}
YES_NO = {"1": ("yes", GREEN), "0": ("no", RED)}


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def mappings(texts):
    """Shows values as {value: (text, color)} says."""
    options = {value: {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(texts.items())}
    return [{"type": "value", "options": options}]


def link(title, url, new_tab=False):
    return {"title": title, "url": url, "targetBlank": new_tab}


def to_dashboard(uid, **variables):
    """The URL of another dashboard, with the same data source and time, and with these variables."""
    given = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?var-datasource=${{datasource}}{given}&${{__url_time_range}}"


def column_value(name):
    """In a link of a table: the row's value of that label."""
    return f"${{__data.fields.{name}:percentencode}}"


def label_value(name):
    """In a link of a graph or a number: the series' value of that label."""
    return f"${{__field.labels.{name}:percentencode}}"


def _target(letter, expression, legend=None, instant=False, table=False):
    target = {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": expression,
        "instant": instant,
        "range": not instant,
        "editorMode": "code",
        "format": "table" if table else "time_series",
    }
    if legend is not None:
        target["legendFormat"] = legend
    return target


def _targets(queries, **options):
    return [_target(chr(ord("A") + i), expr, legend, **options) for i, (expr, legend) in enumerate(queries)]


@dataclass
class Panel:
    """Its JSON without place and number, and how large it is on the grid of 24 columns."""

    json: dict
    width: int
    height: int


def _panel(kind, title, description, *, width, height, options, defaults, targets=None, overrides=(), **more):
    json = {"type": kind, "title": title, "description": description}
    if targets is not None:
        json |= {"datasource": DATASOURCE, "targets": targets}
    json |= more
    json |= {"options": options, "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}}
    return Panel(json, width, height)


def stat(title, description, query, unit, no_data, *, steps=NEUTRAL, texts=None, decimals=None, links=(), width=4):
    """One number, in the color of its threshold."""
    defaults = {"unit": unit, "noValue": no_data, "color": {"mode": "thresholds"}, "thresholds": thresholds(steps)}
    if texts is not None:
        defaults["mappings"] = mappings(texts)
    if decimals is not None:
        defaults["decimals"] = decimals
    if links:
        defaults["links"] = list(links)
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto",
        "textMode": "value",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
    }
    targets = _targets([(query, title)], instant=True)
    return _panel("stat", title, description, width=width, height=4, options=options, defaults=defaults, targets=targets)


def graph(title, description, queries, unit, no_data, *, steps=None, bars=False, stacked=False, powers=False, colors=None,
          limits=(), links=(), low=0, least=False, width=12, height=8):
    """Lines over time for (query, legend) pairs, the largest first in the legend, or with `least` the smallest. With
    `steps`, what lies beyond each is tinted; `colors` gives those of legends, and the legends in `limits` are drawn as
    dashed lines, to be compared with. With `powers`, each power of ten above 1 has as much room as all below it: so the
    largest doesn't flatten the others."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1 if bars else 2,
        "fillOpacity": 60 if bars else 30 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults = {"unit": unit, "noValue": no_data, "color": {"mode": "palette-classic"}, "custom": custom}
    if low is not None:
        defaults["min"] = low
    if steps is not None:
        defaults["thresholds"] = thresholds(steps)
        custom["thresholdsStyle"] = {"mode": "dashed"}
    if powers:
        custom["scaleDistribution"] = {"type": "symlog", "log": 10, "linearThreshold": 1}
    if links:
        defaults["links"] = list(links)
    fixed = {**{name: RED for name in limits}, **(colors or {})}
    overrides = []
    for name, color in fixed.items():
        properties = [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]
        if name in limits:
            properties.append({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}})
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    options = {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["lastNotNull", "min" if least else "max"],
            "sortBy": "Last *",
            "sortDesc": not least,
        },
        "tooltip": {"mode": "multi", "sort": "asc" if least else "desc"},
    }
    return _panel("timeseries", title, description, width=width, height=height, options=options, defaults=defaults,
                  targets=_targets(queries), overrides=overrides)


def heat(title, description, query, legend, unit, no_data, *, steps, width=24, height=10):
    """One row a series, one cell a span of time, in the color of its threshold."""
    defaults = {
        "unit": unit,
        "noValue": no_data,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {
        "showValue": "never",
        "rowHeight": 0.9,
        "colWidth": 0.95,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("status-history", title, description, width=width, height=height, options=options, defaults=defaults,
                  targets=_targets([(query, legend)]), maxDataPoints=60)


@dataclass
class Label:
    """A column of a table that shows a label."""

    name: str
    title: str
    links: tuple = ()
    texts: dict = None
    width: int = None


@dataclass
class Column:
    """A column of a table that shows a query's value."""

    query: str
    title: str
    unit: str
    steps: list = None
    texts: dict = None
    decimals: int = None
    width: int = None


def _colored_cell(properties):
    return properties + [{"id": "custom.cellOptions", "value": {"type": "color-text"}}]


def _override(column, links):
    properties = []
    if isinstance(column, Column):
        properties.append({"id": "unit", "value": column.unit})
        if column.decimals is not None:
            properties.append({"id": "decimals", "value": column.decimals})
        if column.steps is not None:
            properties.append({"id": "thresholds", "value": thresholds(column.steps)})
            properties = _colored_cell(properties)
    if column.texts is not None:
        properties.append({"id": "mappings", "value": mappings(column.texts)})
        properties = _colored_cell(properties)
    if links:
        properties.append({"id": "links", "value": list(links)})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties} if properties else None


def table(title, description, labels, columns, no_data, *, sort, descending=True, hidden=(), width=24, height=9):
    """A row for each set of labels, of what holds now. All queries must have the same labels: those shown and those
    `hidden`. `sort` is the title of the column that orders the rows."""
    targets = [_target(chr(ord("A") + i), column.query, instant=True, table=True) for i, column in enumerate(columns)]
    values = ["Value"] if len(columns) == 1 else [f"Value #{target['refId']}" for target in targets]
    names = [label.name for label in labels] + values
    titles = [label.title for label in labels] + [column.title for column in columns]
    organize = {
        "excludeByName": {name: True for name in ["Time", *hidden]},
        "indexByName": {name: i for i, name in enumerate(names)},
        "renameByName": dict(zip(names, titles)),
    }
    overrides = [_override(label, label.links) for label in labels] + [_override(column, ()) for column in columns]
    defaults = {
        "unit": "short",
        "noValue": no_data,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds([("text", None)]),
        "custom": {"align": "auto", "filterable": True},
    }
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "footer": {"show": False, "reducer": ["sum"], "countRows": False},
        "sortBy": [{"displayName": sort, "desc": descending}],
    }
    transformations = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return _panel("table", title, description, width=width, height=height, options=options, defaults=defaults,
                  targets=targets, overrides=[override for override in overrides if override],
                  transformations=transformations)


def text(title, description, markdown, *, width=24, height=6):
    return _panel("text", title, description, width=width, height=height,
                  options={"mode": "markdown", "content": markdown}, defaults={})


@dataclass
class Row:
    title: str
    panels: list


# --- variables ---------------------------------------------------------------------------------------------


def datasource_variable():
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "description": "The Prometheus that scrapes Tidemark.",
        "refresh": 1,
        "hide": 0,
    }


def variable(name, label, description, metric, of, *matchers, every=True):
    """The values of the metric's label `of`. With `every`, several can be chosen, and are to begin with: all."""
    values = f"label_values({metric}{{{','.join(matchers)}}}, {of})"
    result = {
        "name": name,
        "label": label,
        "type": "query",
        "description": description,
        "datasource": DATASOURCE,
        "query": {"qryType": 1, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,  # when the time range changes
        "sort": 5,  # by name, without regard to case
        "multi": every,
        "includeAll": every,
        "hide": 0,
    }
    if every:
        result |= {"allValue": ".+", "current": {"text": "All", "value": "$__all"}}
    return result


# --- dashboards --------------------------------------------------------------------------------------------


def _annotations(matchers):
    selector = ",".join(['alertstate="firing"', *matchers])
    grafana = {
        "name": "Annotations & Alerts",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "type": "dashboard",
        "enable": True,
        "hide": True,
        "iconColor": BLUE,
    }
    expression = f"count by (alertname, severity) (ALERTS{{{selector}}})"
    firing = {
        "name": "Firing alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": RED,
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
        # Where older versions look for the query, and where newer ones do.
        "expr": expression,
        "step": "60s",
        "target": {"refId": "Anno", "expr": expression, "interval": "60s"},
    }
    return {"list": [grafana, firing]}


def _to_others(tag, title):
    return {
        "title": title,
        "type": "dashboards",
        "tags": [tag],
        "icon": "external link",
        "tooltip": "With the same data source, cluster, group, topic and time",
        "url": "",
        "asDropdown": True,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _place(rows):
    """Numbers the panels and lays each row's out from left to right."""
    placed, top = [], 0

    def put(json, left, width, height):
        placed.append({"id": len(placed) + 1, **json, "gridPos": {"h": height, "w": width, "x": left, "y": top}})

    for row in rows:
        put({"type": "row", "title": row.title, "collapsed": False, "panels": []}, 0, WIDTH, 1)
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, tallest = 0, top + tallest, 0
            put(panel.json, left, panel.width, panel.height)
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed


def dashboard(uid, title, description, variables, rows, *, alerts=(), since="now-3h", tags=("tidemark",)):
    """`alerts` are matchers that choose the alerts to be marked on the graphs."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": list(tags),
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "templating": {"list": [datasource_variable(), *variables]},
        "annotations": _annotations(alerts),
        "links": [_to_others("tidemark", "Tidemark"), _to_others("tidemark-runbook", "Runbooks")],
        "panels": _place(rows),
    }
