"""What alerts/ ships, judged by the programs that it is for: promtool, amtool, a real Alertmanager."""

import datetime
import json
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
import yaml

import processes

ROOT = Path(__file__).resolve().parent.parent.parent
ALERTS = ROOT / "alerts"
RULES = sorted(ALERTS.glob("rules/*.yml")) + sorted(ALERTS.glob("moving-in/*.yml"))
pytestmark = pytest.mark.once


def tool(*command):
    code, output, errors = processes.run([str(part) for part in command])
    return code, (output + errors).decode(errors="replace")


def alerts():
    groups = yaml.safe_load((ALERTS / "rules/tidemark.alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names():
    return {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_promtool_accepts_the_rules(path):
    code, printed = tool("promtool", "check", "rules", path)
    assert code == 0, printed


@pytest.mark.parametrize("path", sorted(ALERTS.glob("tests/*.yml")), ids=lambda path: path.name)
def test_the_rules_do_what_their_tests_say(path):
    code, printed = tool("promtool", "test", "rules", path)
    assert code == 0, printed


def test_each_alert_is_tested_silent_firing_and_cleared():
    """In one story: first it is silent, then it fires, then it is over."""
    whole = set()
    for path in ALERTS.glob("tests/*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            fires = {}
            for case in test.get("alert_rule_test", []):
                fires.setdefault(case["alertname"], []).append(bool(case["exp_alerts"]))
            whole |= {name for name, course in fires.items() if course == [False, True, False]}
    assert names() - whole == set()


def test_each_name_of_the_others_has_its_case():
    recorded = {
        rule["record"] for path in ALERTS.glob("moving-in/*.yml") for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
    }
    [test] = yaml.safe_load((ALERTS / "tests/moving_in.test.yml").read_text())["tests"]
    assert recorded <= {case["expr"] for case in test["promql_expr_test"]}


PLACE = "{{ with $labels.topic }} on {{ . }}{{ with $labels.partition }}/{{ . }}{{ end }}{{ end }}"


def test_each_alert_on_a_condition_says_where_and_gives_the_numbers_of_the_case():
    for rule in alerts():
        if "condition=" in rule["expr"]:
            annotations = rule["annotations"]
            assert PLACE in annotations["summary"], rule["alert"]
            assert "$value" in annotations["description"] or "| query }}" in annotations["description"], rule["alert"]


def test_each_condition_has_its_alert_as_grave_as_itself():
    table = re.findall(r'CONDITION\(\w+, "(\w+)", GRADE_(\w+)\)', (ROOT / "exporter/findings.h").read_text())
    told = {}
    for rule in alerts():
        for condition in re.findall(r'condition="(\w+)"', rule["expr"]):
            told[condition] = rule["labels"]["severity"]
            assert rule["annotations"]["runbook"] == f"runbooks/{condition}.md"
    assert len(table) > 10
    assert told == {name: grade.lower() for name, grade in table}


def test_each_alert_leads_to_a_runbook_and_each_runbook_is_led_to():
    led_to = {rule["annotations"]["runbook"] for rule in alerts()}
    assert led_to == {f"runbooks/{path.name}" for path in ALERTS.glob("runbooks/*.md")}
    for rule in alerts():
        text = (ALERTS / rule["annotations"]["runbook"]).read_text()
        assert f"`{rule['alert']}`" in text
        for part in ("## What it means", "## How to confirm", "## What to do", "## How to keep it from coming back"):
            assert part in text, rule["alert"]
        assert {"summary", "description", "dashboard"} <= set(rule["annotations"])
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_the_prometheus_operator_gets_the_same_rules_and_the_same_scraping(tmp_path):
    kubernetes = ALERTS / "kubernetes"
    rule = yaml.safe_load((kubernetes / "prometheus-rule.yaml").read_text())
    monitor = yaml.safe_load((kubernetes / "service-monitor.yaml").read_text())
    assert (rule["kind"], monitor["kind"]) == ("PrometheusRule", "ServiceMonitor")
    assert rule["apiVersion"] == monitor["apiVersion"] == "monitoring.coreos.com/v1"
    shipped = [group for path in sorted(ALERTS.glob("rules/*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    assert rule["spec"] == {"groups": shipped}
    assert len({group["name"] for group in shipped}) == len(shipped), "the operator wants each name once"
    prometheus = yaml.safe_load((ALERTS / "prometheus.yml").read_text())
    [endpoint], [scrape] = monitor["spec"]["endpoints"], prometheus["scrape_configs"]
    assert endpoint["interval"] == prometheus["global"]["scrape_interval"]
    assert endpoint["honorLabels"] is scrape["honor_labels"] is True
    (tmp_path / "rules.yml").write_text(json.dumps(rule["spec"]))  # JSON is YAML
    code, printed = tool("promtool", "check", "rules", tmp_path / "rules.yml")
    assert code == 0, printed


def test_what_is_installed_is_accepted_and_links_to_where_it_was_told(tmp_path):
    command = ["make", "-C", ROOT, "install-alerts", f"DESTDIR={tmp_path}", "PREFIX=/opt/tidemark",
               "RUNBOOKS=https://wiki.example/?space=ops&page=lag", "GRAFANA=https://grafana.example"]
    code, printed = tool(*command)
    assert code == 0, printed
    installed = tmp_path / "opt/tidemark/share/tidemark/alerts"
    code, printed = tool("promtool", "check", "config", installed / "prometheus.yml")
    assert code == 0, printed
    code, printed = tool("amtool", "check-config", installed / "alertmanager.yml")
    assert code == 0, printed
    groups = yaml.safe_load((installed / "rules/tidemark.alerts.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        name = rule["annotations"]["runbook"].removeprefix("https://wiki.example/?space=ops&page=lag/")
        assert (installed / "runbooks" / name).is_file()
        assert rule["annotations"]["dashboard"].startswith("https://grafana.example/d/tidemark-")
    assert yaml.safe_load((installed / "kubernetes/prometheus-rule.yaml").read_text())["spec"]["groups"][:len(groups)] == groups


# --- Alertmanager ----------------------------------------------------------------------------------------------


def test_amtool_accepts_the_configuration():
    code, printed = tool("amtool", "check-config", ALERTS / "alertmanager.yml")
    assert code == 0, printed


@pytest.mark.parametrize("severity, receiver", [("critical", "on-call"), ("warning", "warnings"), ("info", "nobody")])
def test_alerts_are_routed_by_severity(severity, receiver):
    code, printed = tool(
        "amtool", "config", "routes", "test", f"--config.file={ALERTS}/alertmanager.yml", f"--verify.receivers={receiver}",
        f"severity={severity}", "cluster=prod", "consumergroup=billing",
    )
    assert code == 0, printed


@pytest.mark.parametrize("labels", [["about=topic", "severity=warning", "cluster=prod"], ["alertname=SomebodyElses"]])
def test_what_is_not_critical_goes_to_the_warnings(labels):
    code, printed = tool(
        "amtool", "config", "routes", "test", f"--config.file={ALERTS}/alertmanager.yml", "--verify.receivers=warnings", *labels,
    )
    assert code == 0, printed


@pytest.fixture(scope="module")
def alertmanager():
    """Its address."""
    with tempfile.TemporaryDirectory(prefix="tidemark-alertmanager-") as folder:
        port = processes.free_port()
        process = processes.start(
            ["prometheus-alertmanager", f"--config.file={ALERTS}/alertmanager.yml", f"--storage.path={folder}",
             f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"

        def ready():
            try:
                return urllib.request.urlopen(f"{url}/-/ready", timeout=20).status == 200
            except OSError:
                return False

        try:
            processes.wait_until(ready, what="an answer of Alertmanager")
            yield url
        finally:
            process.kill()
            process.wait()


def alert(name, cluster, group):
    labels = {rule["alert"]: rule["labels"] for rule in alerts()}[name]
    return {"labels": {"alertname": name, "cluster": cluster, **({"consumergroup": group} if group else {}), **labels}}


FIRING = [  # alert, cluster, group, and whether it is held back
    ("ConsumerGroupStopped", "prod", "reports", False),
    ("ConsumerGroupFallingBehind", "prod", "reports", True),
    ("TimeLagBudgetBurnsFast", "prod", "reports", True),
    ("ConsumerGroupFallingBehind", "prod", "search", False),
    ("TimeLagBudgetBurnsFast", "prod", "search", False),
    ("TimeLagBudgetBurnsSlowly", "prod", "search", True),
    ("ConsumerGroupDeathSpiral", "prod", "fraud", False),
    ("ConsumerGroupRebalanceStorm", "prod", "fraud", True),
    ("ConsumerGroupRebalanceStorm", "prod", "other", False),
    ("ConsumerGroupReplaying", "prod", "audit", False),
    ("TimeLagBudgetBurnsFast", "prod", "audit", True),
    ("ConsumerGroupDataLost", "prod", "reports", False),
    ("TidemarkSourceDown", "west", None, False),
    ("ConsumerGroupStuck", "west", "mailer", True),
    ("TidemarkPageStale", "west", None, True),
    ("TidemarkPollsSlow", "west", None, True),
    ("TopicRetentionTooShort", "west", None, True),
    ("TopicRetentionTooShort", "prod", None, False),
]


@pytest.fixture(scope="module")
def firing(alertmanager):
    """Asks Alertmanager, in which all of these fire at once."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    body = json.dumps([{**alert(*what[:3]), "startsAt": now} for what in FIRING]).encode()
    request = urllib.request.Request(f"{alertmanager}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()

    def ask(path):
        with urllib.request.urlopen(f"{alertmanager}/api/v2/{path}", timeout=60) as answer:
            return json.load(answer)

    return ask


def test_effects_are_held_back_by_their_causes(firing):
    def held_back():
        known = firing("alerts")
        assert len(known) == len(FIRING)
        found = set()
        for item in known:
            labels = item["labels"]
            if item["status"]["inhibitedBy"]:
                found.add((labels["alertname"], labels["cluster"], labels.get("consumergroup")))
        assert found == {what[:3] for what in FIRING if what[3]}
        return True

    processes.wait_until(held_back, what="Alertmanager's judgement")


def test_what_is_wrong_with_a_group_is_one_notification_for_each_receiver(firing):
    def grouped():
        found = {}
        for group in (group for group in firing("alerts/groups") if "consumergroup" in group["labels"]):
            of = (group["labels"]["cluster"], group["labels"]["consumergroup"], group["receiver"]["name"])
            assert of not in found
            found[of] = {item["labels"]["alertname"] for item in group["alerts"]}
        assert found["prod", "reports", "on-call"] == {"ConsumerGroupStopped", "TimeLagBudgetBurnsFast", "ConsumerGroupDataLost"}
        assert found["prod", "reports", "warnings"] == {"ConsumerGroupFallingBehind"}
        assert found["prod", "search", "on-call"] == {"TimeLagBudgetBurnsFast"}
        return True

    processes.wait_until(grouped, what="Alertmanager's groups")
