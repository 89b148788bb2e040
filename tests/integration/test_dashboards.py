"""The dashboards as they are shipped: what Grafana, its linter and a person would find wrong in them."""

import copy
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import grafana_dashboard
import python_tools
from daemon import run

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "tests/lib/grafana_schema.py"

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in grafana_dashboard.dashboards()}
# Those of the runbooks are made of the same parts; one of them stands for them where that is enough.
MAIN = {uid: dashboard for uid, dashboard in DASHBOARDS.items() if "tidemark" in dashboard["tags"]}
pytestmark = pytest.mark.once

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


@pytest.fixture(scope="module")
def promql():
    python_tools.use("promql")
    import promql

    return promql


@pytest.fixture(scope="module")
def lint(promql):
    import grafana_lint

    return grafana_lint


@pytest.fixture(scope="module")
def catalogue():
    code, output, errors = run("metrics", "--json")
    assert code == 0, errors
    return {metric["name"]: metric["labels"] for metric in json.loads(output)}


@pytest.fixture(scope="module")
def units():
    """Those that Grafana has had since the oldest version."""
    text = (python_tools.path("grafana-oldest") / "grafana_foundation_sdk/models/units.py").read_text()
    return set(re.findall(r'= "([^"]+)"$', text, flags=re.M))


# --- what Grafana finds ------------------------------------------------------------------------------------


def schema_violations(version, *files):
    environment = {**os.environ, "PYTHONPATH": str(python_tools.path(version))}
    checked = subprocess.run([sys.executable, SCHEMA, *files], env=environment, capture_output=True, text=True, timeout=120)
    assert checked.returncode in (0, 1) and not checked.stderr, checked.stderr
    return checked.stdout.splitlines() if checked.returncode else []


@pytest.mark.parametrize("version", python_tools.GRAFANA)
def test_the_dashboards_follow_grafanas_published_schema(version):
    files = list(grafana_dashboard.FOLDER.glob("*.json"))
    assert len(MAIN) == 6
    assert schema_violations(version, *files) == []


def first(dashboard, kind):
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


BROKEN = {
    "surprise: Dashboard has no such key": lambda d: d.update(surprise=1),
    "schemaVersion: '38' is no int": lambda d: d.update(schemaVersion="38"),
    "colorMode: 'pink' is no BigValueColorMode": lambda d: first(d, "stat")["options"].update(colorMode="pink"),
    "lineWidth: 'thick' is no float":
        lambda d: first(d, "timeseries")["fieldConfig"]["defaults"]["custom"].update(lineWidth="thick"),
    "expression: Dataquery has no such key": lambda d: first(d, "table")["targets"][0].update(expression="up"),
    "refresh: 7 is no VariableRefresh": lambda d: d["templating"]["list"][1].update(refresh=7),
    "there is no panel 'timesery'": lambda d: first(d, "timeseries").update(type="timesery"),
    "[0].name: DataTransformerConfig has no such key": lambda d: first(d, "table")["transformations"][0].update(name="x"),
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_the_schema_sees_what_is_wrong(tmp_path, complaint):
    dashboard = copy.deepcopy(DASHBOARDS["tidemark-overview"])
    BROKEN[complaint](dashboard)
    (tmp_path / "broken.json").write_text(json.dumps(dashboard))
    assert complaint in "\n".join(schema_violations("grafana-oldest", tmp_path / "broken.json"))


def test_what_is_installed_is_found_by_grafana(tmp_path):
    """Grafana reads these two files at its start: a data source, and where the dashboards lie."""
    command = ["make", "install-dashboards", f"DESTDIR={tmp_path}", "PREFIX=/opt/tidemark"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    provisioning = tmp_path / "opt/tidemark/share/tidemark/grafana/provisioning"
    sources = yaml.safe_load((provisioning / "datasources/tidemark.yaml").read_text())
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
    provided = yaml.safe_load((provisioning / "dashboards/tidemark.yaml").read_text())
    assert sources["apiVersion"] == provided["apiVersion"] == 1
    [provider] = provided["providers"]
    folder = Path(f"{tmp_path}{provider['options']['path']}")
    assert {json.loads(path.read_text())["uid"] for path in folder.iterdir()} == set(DASHBOARDS)


# --- what its linter finds ---------------------------------------------------------------------------------


@functools.cache
def exclusions():
    return yaml.safe_load((ROOT / "dashboards/.lint").read_text())["exclusions"]


def test_the_linter_finds_nothing_that_is_not_excluded_with_a_reason(lint, units):
    needed = set()
    for dashboard in DASHBOARDS.values():
        for rule, panel, complaint in lint.violations(dashboard, units):
            assert rule in exclusions() and exclusions()[rule]["reason"], f"{dashboard['title']}, {panel}: {complaint}"
            entries = exclusions()[rule].get("entries")
            entry = {"dashboard": dashboard["title"], "panel": panel}
            assert entries is None or entry in entries, f"{rule}: {dashboard['title']}, {panel}: {complaint}"
            needed.add((rule, *(entry.values() if entries else ())))
    listed = set()
    for rule, exclusion in exclusions().items():
        listed |= {(rule, entry["dashboard"], entry["panel"]) for entry in exclusion["entries"]} if "entries" in exclusion else {(rule,)}
    assert listed - needed == set(), "nothing needs these exclusions"


UNTIDY = {
    "template-datasource-rule": lambda d: d["templating"]["list"][0].update(label="Prometheus"),
    "template-label-promql-rule": lambda d: d["templating"]["list"][1]["query"].update(query="label_values(up{{, cluster)"),
    "template-on-time-change-reload-rule": lambda d: d["templating"]["list"][1].update(refresh=1),
    "uneditable-dashboard-rule": lambda d: d.update(editable=True),
    "panel-datasource-rule": lambda d: first(d, "table")["targets"][0]["datasource"].update(uid="mine"),
    "panel-title-description-rule": lambda d: first(d, "table").pop("description"),
    "panel-units-rule": lambda d: first(d, "timeseries")["fieldConfig"]["defaults"].update(unit="fortnights"),
    "panel-no-targets-rule": lambda d: first(d, "timeseries").pop("targets"),
    "target-promql-rule": lambda d: first(d, "timeseries")["targets"][0].update(expr="sum("),
    "target-rate-interval-rule": lambda d: first(d, "stat")["targets"][0].update(expr="rate(x_total[5m])"),
    "target-counter-agg-rule": lambda d: first(d, "stat")["targets"][0].update(expr="sum(x_total)"),
}


@pytest.mark.parametrize("rule", UNTIDY)
def test_each_rule_of_the_linter_sees_what_is_wrong(lint, units, rule):
    dashboard = copy.deepcopy(DASHBOARDS["tidemark-overview"])
    before = len([found for found in lint.RULES[rule](dashboard, units)])
    UNTIDY[rule](dashboard)
    assert len([found for found in lint.RULES[rule](dashboard, units)]) == before + 1


# --- one source of truth -----------------------------------------------------------------------------------


def rules(folder="*"):
    """[(where, expression, its name where it records one, its labels)] of all rules that are shipped."""
    for path in sorted((ROOT / "alerts").glob(f"{folder}/*.y*ml")):
        for group in yaml.safe_load(path.read_text()).get("groups", ()):
            for rule in group["rules"]:
                name = rule.get("record", rule.get("alert"))
                yield f"{path.name}: {name}", rule["expr"], rule.get("record"), set(rule.get("labels", ()))


@pytest.fixture(scope="module")
def recorded(promql, catalogue):
    """{name: labels} of the series that all rules record."""
    found = {}
    for _, expression, record, given in rules():
        if record:
            found.setdefault(record, set()).update(given | promql.possible_labels(expression, catalogue))
    return found


@every_dashboard
def test_every_expression_names_only_what_is_in_the_catalogue_or_recorded(lint, promql, catalogue, recorded, dashboard):
    """Recorded by the rules that go with the dashboards."""
    ours = {name: recorded[name] for _, _, name, _ in rules("rules") if name}
    for query in grafana_dashboard.queries(dashboard):
        assert promql.complaints(lint.parsable(dashboard, query.expression), {**catalogue, **ours}) == [], query


def test_what_is_recorded_is_asked_for(lint, promql):
    """By a dashboard or by an alert; rules for those who move in are for dashboards that they have."""
    asked = {
        selector.name
        for dashboard in DASHBOARDS.values() for query in grafana_dashboard.queries(dashboard)
        for selector in promql.selectors(lint.parsable(dashboard, query.expression))
    }
    asked |= {selector.name for _, expression, _, _ in rules("rules") for selector in promql.selectors(expression)}
    names = {name for _, _, name, _ in rules("rules") if name}
    assert len(names) >= 8
    assert names <= asked


@pytest.mark.parametrize(
    "expression, complaint",
    [
        ("sum(kafka_consumergroup_lagg)", "there is no metric kafka_consumergroup_lagg"),
        ('kafka_consumergroup_lag{group="x"}', "kafka_consumergroup_lag has no label group"),
        ("sum by (consumer) (kafka_consumergroup_lag)", "nothing in it has the label consumer"),
        ("kafka_consumergroup_lag / on (topics) kafka_topic_partitions", "nothing in it has the label topics"),
        ("kafka_consumergroup_lag * on (topic) group_left (policy) kafka_topic_info", "nothing in it has the label policy"),
        ("sum(kafka_consumergroup_lag", "it is no PromQL"),
    ],
)
def test_what_is_not_in_the_catalogue_is_seen(promql, catalogue, expression, complaint):
    complaints = promql.complaints(expression, catalogue)
    assert len(complaints) == 1 and complaints[0].startswith(complaint)


def test_every_rule_names_only_what_is_in_the_catalogue_or_recorded(promql, catalogue, recorded):
    """A recorded series has the labels that its expression keeps, or those that the rule gives it: at most all of them."""
    assert len(list(rules())) > 20
    found = {where: promql.complaints(expression, {**catalogue, **recorded}) for where, expression, _, _ in rules()}
    assert {where: complaints for where, complaints in found.items() if complaints} == {}


def test_runbooks_speak_of_metrics_that_are_there(catalogue, recorded):
    told = set()
    for path in (ROOT / "alerts/runbooks").glob("*.md"):
        told |= set(re.findall(r"\b(?:cluster_\w+:)?(?:kafka|tidemark)_[a-z_]+(?::\w+)?", path.read_text()))
    assert len(told) > 20
    assert told - set(catalogue) - set(recorded) == set()


def test_what_alerts_link_to_is_there():
    """Their dashboards with these variables, and their runbooks, as files and as dashboards."""
    alerts = yaml.safe_load((ROOT / "alerts/rules/tidemark.alerts.yml").read_text())
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        annotations = rule["annotations"]
        uid, variables = re.match(r"/d/([a-z-]+)\??(.*)", annotations["dashboard"]).groups()
        names = {variable["name"] for variable in grafana_dashboard.variables(MAIN[uid])}
        assert set(re.findall(r"var-(\w+)=", variables)) <= names, rule["alert"]
        assert f"tidemark-runbook-{Path(annotations['runbook']).stem}" in DASHBOARDS, rule["alert"]


@every_dashboard
def test_every_variable_that_is_used_is_there(dashboard):
    names = {variable["name"] for variable in grafana_dashboard.variables(dashboard)}
    builtin = {"__interval", "__rate_interval", "__range", "__range_s"}
    for query in grafana_dashboard.queries(dashboard):
        assert grafana_dashboard.used_variables(query.expression) <= names | builtin, query


@every_dashboard
def test_a_variable_of_which_several_can_be_chosen_is_a_regular_expression(lint, promql, dashboard):
    """Grafana writes (a|b) for several, and escapes what stands in it: `=` would match nothing."""
    several = {variable["name"]: variable.get("multi", False) for variable in grafana_dashboard.variables(dashboard)}
    for query in grafana_dashboard.queries(dashboard):
        for selector in promql.selectors(lint.parsable(dashboard, query.expression)):
            for matcher in selector.matchers.matchers:
                # lint.parsable() leaves a variable's name for its value.
                if matcher.value in several:
                    assert (str(matcher.op) == "MatchOp.Re") == several[matcher.value], f"{query}: {matcher.name}"


# --- what the numbers mean ---------------------------------------------------------------------------------


def steps(uid, title):
    """{color: from which value on it is that} of a panel's thresholds."""
    [panel] = [panel for panel in grafana_dashboard.panels(MAIN[uid]) if panel["title"] == title]
    return {step["color"]: step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]}


def test_the_thresholds_are_those_of_the_alerts():
    """Of the objective, whose budget the alerts count, and of the rule by which retention_risk is judged."""
    alerts = (ROOT / "alerts/rules/tidemark.alerts.yml").read_text()
    [budget] = set(re.findall(r"> [\d.]+ \* ([\d.]+)$", alerts, flags=re.M))
    assert steps("tidemark-overview", "Within objective, the ten worst")["green"] == 1 - float(budget)
    assert steps("tidemark-overview", "Time lag / objective of the ten worst")["red"] == 1
    share = re.search(r"SHARE\(horizon_share, ([\d.]+),", (ROOT / "exporter/rules.h").read_text()).group(1)
    assert steps("tidemark-group", "Retention left") == {"red": None, "orange": float(share), "green": 2 * float(share)}


HOUR = 60  # minutes, and values
GROWN = {  # the values of a counter of lost messages, by minute and by instance, and what it grew by in the second hour
    "Two lose the same": ({"a": f"100x{HOUR} 107x{HOUR}", "b": f"90x{HOUR} 97x{HOUR}"}, 7),
    "One goes on at another address": ({"a": f"1000x{HOUR} stale", "b": f"_x{HOUR + 1} 1005x{HOUR}"}, 5),
    "One of two goes for good": ({"a": f"1000x{HOUR + 30} stale", "b": f"990x{2 * HOUR}"}, 0),
    "One begins anew": ({"a": f"1000x{HOUR + 9} 0x20 5x{HOUR}"}, 5),
    "One is new": ({"a": f"_x{HOUR + 10} 12x{HOUR}"}, 12),
    "Nothing is lost": ({"a": f"3x{2 * HOUR}"}, 0),
}


@pytest.mark.parametrize("case", GROWN)
def test_messages_lost_are_counted_exactly(tmp_path, case):
    [panel] = [panel for panel in grafana_dashboard.panels(MAIN["tidemark-overview"]) if panel["title"] == "Messages lost"]
    chosen = {"cluster": ".+", "group": ".+", "__range": "1h"}
    expression = grafana_dashboard.interpolate(panel["targets"][0]["expr"], chosen)
    counter = 'kafka_consumergroup_lost_messages_total{{cluster="c", consumergroup="g", topic="t", instance="{}"}}'
    values, grown = GROWN[case]
    test = {
        "interval": "1m",
        "input_series": [{"series": counter.format(instance), "values": given} for instance, given in values.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": "2h", "exp_samples": [{"labels": "{}", "value": grown}]}],
    }
    (tmp_path / "test.yml").write_text(json.dumps({"tests": [test]}))  # JSON is YAML
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# --- what a person finds -----------------------------------------------------------------------------------


@every_dashboard
def test_every_panel_says_what_to_do_and_what_it_means_when_it_is_empty(dashboard):
    for panel in grafana_dashboard.panels(dashboard):
        assert len(panel["description"].split()) >= 4, panel["title"]
        if panel["type"] != "text":
            assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


@every_dashboard
def test_panels_fit_the_grid_and_do_not_overlap(dashboard):
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def links(dashboard):
    """The URLs of all links in its panels, with the panel."""
    for panel in grafana_dashboard.panels(dashboard):
        for field in (panel["fieldConfig"]["defaults"], *panel["fieldConfig"]["overrides"]):
            given = field.get("links", [])
            given = given + [link for p in field.get("properties", []) if p["id"] == "links" for link in p["value"]]
            yield from ((panel, link["url"]) for link in given)


@every_dashboard
def test_links_lead_to_dashboards_and_variables_that_are_there(dashboard):
    for panel, url in links(dashboard):
        uid = re.match(r"/d/([a-z_-]+)", url).group(1)
        if "__data.fields.condition" in url:
            uid += "stuck"  # one of the conditions
        names = {variable["name"] for variable in grafana_dashboard.variables(DASHBOARDS[uid])}
        assert set(re.findall(r"[?&]var-(\w+)=", url)) <= names, (panel["title"], url)


def test_every_condition_has_a_runbook():
    """The links of a row lead to it by the condition's name."""
    conditions = re.findall(r'CONDITION\(\w+, "(\w+)"', (ROOT / "exporter/findings.h").read_text())
    assert len(conditions) >= 14
    assert {f"tidemark-runbook-{condition}" for condition in conditions} <= set(DASHBOARDS)


@every_dashboard
def test_a_link_of_a_row_takes_its_values_from_the_rows_own_columns(dashboard):
    for panel, url in links(dashboard):
        for field in re.findall(r"__data\.fields\.(\w+)", url):
            shown = panel["transformations"][1]["options"]
            assert field in shown["renameByName"], (panel["title"], url)
