"""The rules of Grafana's dashboard-linter, by the names that it gives them: `violations(dashboard)` of each.

What they say is taken from https://github.com/grafana/dashboard-linter/tree/main/docs/rules. dashboards/.lint has the
exclusions, in the linter's own format, so whoever runs the linter itself gets the same answers.
"""

import collections

from grafana_dashboard import interpolate, panel_queries, panels, variable_query, variables

import promql

PLACEHOLDERS = {"__interval": "7m", "__rate_interval": "11m", "__range": "13m", "__range_s": "780"}
RATE_INTERVAL = "11m"
# Those that show numbers.
WITH_UNIT = ("stat", "gauge", "table", "timeseries", "bargauge", "status-history", "heatmap")
WITHOUT_DATA = ("text", "row")


def parsable(dashboard, expression):
    """With a value for each variable: its own name, and spans of time that stand out."""
    names = {variable["name"] for variable in variables(dashboard)}
    return interpolate(expression, {**PLACEHOLDERS, **{name: name for name in names}})


def _targets(dashboard):
    """(panel, query, tree) of all panels' queries."""
    for panel in panels(dashboard):
        for query in panel_queries(dashboard, panel):
            yield panel, query, parsable(dashboard, query.expression)


def template_datasource(dashboard, units):
    sources = [variable for variable in variables(dashboard) if variable["type"] == "datasource"]
    wanted = [("datasource", "Data source", "prometheus")]
    if [(source["name"], source["label"], source["query"]) for source in sources] != wanted:
        yield None, "one variable must be the data source, `datasource`, with the label `Data source`"


def template_label_promql(dashboard, units):
    for variable in variables(dashboard):
        if variable_query(variable):
            for complaint in _unparsable(parsable(dashboard, variable_query(variable)[0])):
                yield None, f"variable {variable['name']}: {complaint}"


def template_on_time_change_reload(dashboard, units):
    for variable in variables(dashboard):
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield None, f"variable {variable['name']} isn't reloaded when the time range changes"


def template_uneditable(dashboard, units):
    if dashboard["editable"]:
        yield None, "it can be edited, and the edits would be lost with the next version"


def panel_datasource(dashboard, units):
    for panel in panels(dashboard):
        sources = [target["datasource"] for target in panel.get("targets", [])]
        if panel["type"] not in WITHOUT_DATA:
            sources.append(panel.get("datasource"))
        if any(source != {"type": "prometheus", "uid": "${datasource}"} for source in sources):
            yield panel, "it doesn't use the variable `datasource`"


def panel_title_description(dashboard, units):
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield panel, "it has no title or no description"


def panel_units(dashboard, units):
    for panel in panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] in WITH_UNIT and not defaults.get("mappings") and defaults.get("unit") not in units:
            yield panel, f"Grafana has no unit {defaults.get('unit')!r}"
        for override in panel["fieldConfig"]["overrides"]:
            for given in override["properties"]:
                if given["id"] == "unit" and given["value"] not in units:
                    yield panel, f"Grafana has no unit {given['value']!r}"


def panel_no_targets(dashboard, units):
    for panel in panels(dashboard):
        if panel["type"] not in WITHOUT_DATA and not panel.get("targets"):
            yield panel, "it has no query"


def _unparsable(expression):
    try:
        promql.nodes(expression)
    except ValueError as error:
        return [str(error)]
    return []


def target_promql(dashboard, units):
    for panel, query, expression in _targets(dashboard):
        for complaint in _unparsable(expression):
            yield panel, f"{query.name}: {complaint}"


def target_rate_interval(dashboard, units):
    for panel, query, expression in _targets(dashboard):
        for function, selector in promql.ranges(expression):
            if selector.range != promql.parser.parse_duration(RATE_INTERVAL):
                yield panel, f"{query.name}: {function}() has a range that is not $__rate_interval"


def target_counter_agg(dashboard, units):
    for panel, query, expression in _targets(dashboard):
        bare = collections.Counter(selector.name for selector in promql.selectors(expression))
        bare.subtract(argument.vector_selector.name for function, argument in promql.ranges(expression)
                      if function in ("rate", "irate", "increase"))
        for name, count in bare.items():
            if name.endswith("_total") and count > 0:
                yield panel, f"{query.name}: the counter {name} is not in a rate() or increase()"


def _variable(name):
    def rule(dashboard, units):
        if name not in [variable["name"] for variable in variables(dashboard)]:
            yield None, f"it has no variable `{name}`"

    return rule


def _matcher(name):
    def rule(dashboard, units):
        for panel, query, expression in _targets(dashboard):
            for selector in promql.selectors(expression):
                if name not in [matcher.name for matcher in selector.matchers.matchers]:
                    yield panel, f"{query.name}: {selector.name} has no matcher for {name}"

    return rule


RULES = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": _variable("job"),
    "template-instance-rule": _variable("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "uneditable-dashboard-rule": template_uneditable,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-counter-agg-rule": target_counter_agg,
    "target-job-rule": _matcher("job"),
    "target-instance-rule": _matcher("instance"),
}


def violations(dashboard, units):
    """[(rule, the panel's title or None, what is wrong)]; `units` are those that Grafana has."""
    return [
        (name, panel and panel["title"], complaint)
        for name, rule in RULES.items() for panel, complaint in rule(dashboard, units)
    ]
