#!/usr/bin/python3
"""Draws a picture of each dashboard, light and dark, into this folder, from the demo as Prometheus sees it.

    dashboards/pictures/draw.py --build build [--minutes 6]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
sys.path[:0] = [str(FOLDER), str(ROOT / "tests/lib")]

import grafana_dashboard  # noqa: E402
import panels  # noqa: E402
import processes  # noqa: E402
from prometheus_server import Prometheus  # noqa: E402

WIDTH = 1400
COLUMN = (WIDTH - 2 * panels.GAP) / 24
CHOSEN = {"cluster": "demo", "group": "mailer"}

STYLE = """
:root { --green:#73bf69; --yellow:#f2cc0c; --blue:#5794f2; --orange:#ff9830; --red:#f2495c; --purple:#b877d9; --teal:#37c2c2;
  --pink:#ff85b3; --olive:#a5b53a; --grey:#9a9fb0; --text:#ccccdc; --faint:#8e8ea0; --page:#111217; --panel:#181b1f; --edge:#2b2e34 }
:root.light { --green:#56a64b; --yellow:#c99700; --blue:#3274d9; --orange:#e0700a; --red:#e02f44; --purple:#a352cc; --teal:#108a8a;
  --pink:#d6498b; --olive:#7d8a12; --grey:#6d7280; --text:#24292e; --faint:#6a7078; --page:#f4f5f5; --panel:#ffffff; --edge:#dfe1e4 }
* { box-sizing:border-box } body { margin:0; background:var(--page); color:var(--text); font:13px Inter,"DejaVu Sans",sans-serif; position:relative }
header { padding:12px 16px; height:52px } header b { font-size:18px; margin-right:24px } header span { color:var(--faint); margin-right:16px }
.panel { position:absolute; background:var(--panel); border:1px solid var(--edge); border-radius:3px; padding:6px 8px; overflow:hidden }
.row { position:absolute; font-size:15px; font-weight:600; padding:7px 4px } h3 { font-size:13px; font-weight:600; margin:0 0 6px; white-space:nowrap }
.stat { font-size:30px; font-weight:600; text-align:center; padding-top:14px } .nothing { color:var(--faint); text-align:center; padding-top:22px }
svg { display:block } svg text { fill:var(--faint); font-size:11px } .grid { stroke:var(--edge) }
table { border-collapse:collapse; width:100% } th { text-align:left; color:var(--blue); font-weight:600 } td,th { padding:4px 8px; white-space:nowrap }
.table tr { border-bottom:1px solid var(--edge); height:27px } .table td { color:var(--text) } .link { text-decoration:underline }
.legend td,.legend th { padding:1px 6px; font-size:11px; height:17px } .legend th { color:var(--faint); font-weight:400 }
.legend td:not(:first-child),.legend th:not(:first-child) { text-align:right; width:90px } .legend i { display:inline-block; width:14px; height:4px; margin-right:8px; vertical-align:middle }
.markdown td,.markdown th { white-space:normal } code { color:var(--orange); font-family:"DejaVu Sans Mono",monospace; font-size:12px } p,ol { line-height:1.6; margin:6px 4px }
"""


class View:
    """One dashboard, at one moment, of one Prometheus."""

    def __init__(self, dashboard, prometheus, end, seconds):
        self.dashboard, self.prometheus, self.end, self.seconds = dashboard, prometheus, end, seconds
        self.step = max(2, seconds // 120)
        several = {variable["name"] for variable in grafana_dashboard.variables(dashboard) if variable.get("multi")}
        span = {"__rate_interval": "20s", "__range": f"{seconds}s", "__range_s": seconds}
        self.variables = {**CHOSEN, **dict.fromkeys(several, ".+"), **span}
        self.alerts = self._alerts()

    def _now(self, expression):
        return self.prometheus.at(grafana_dashboard.interpolate(expression, self.variables), self.end)

    def _over_time(self, expression, step):
        expression = grafana_dashboard.interpolate(expression, {**self.variables, "__interval": f"{step}s"})
        return self.prometheus.over_time(expression, self.seconds, step, self.end)

    def _alerts(self):
        """[(when it began to fire, its name)]"""
        found = []
        for query in grafana_dashboard.queries(self.dashboard):
            if query.name.startswith("annotation"):
                for series in self._over_time(query.expression, self.step):
                    found.append((float(series["values"][0][0]), series["metric"]["alertname"]))
        return found

    def _answers(self, panel, step):
        queries = grafana_dashboard.panel_queries(self.dashboard, panel)
        return [self._now(query.expression) if query.instant else self._over_time(query.expression, step) for query in queries]

    def content(self, panel, width, height):
        kind, span = panel["type"], (self.end - self.seconds, self.end)
        step = max(self.step, self.seconds // 60) if kind == "status-history" or panel_has_bars(panel) else self.step
        answers = self._answers(panel, step)
        if kind == "stat":
            return panels.stat(panel, answers)
        if kind == "timeseries":
            return panels.timeseries(panel, answers, width, height, span, step, self.alerts)
        if kind == "status-history":
            return panels.heat(panel, answers, width, height, span, step)
        return panels.table(panel, answers, height) if kind == "table" else panels.markdown(panel)

    def page(self, theme):
        """(HTML, height)"""
        drawn, bottom = [], 0
        for panel in self.dashboard["panels"]:
            place, unit = panel["gridPos"], panels.ROW_HEIGHT + panels.GAP / 4
            left, top = panels.GAP + place["x"] * COLUMN, 52 + place["y"] * unit
            width, height = place["w"] * COLUMN - panels.GAP, place["h"] * unit - panels.GAP
            bottom = max(bottom, top + height)
            where = f"left:{left:.0f}px;top:{top:.0f}px;width:{width:.0f}px;height:{height:.0f}px"
            if panel["type"] == "row":
                drawn.append(f'<div class="row" style="{where}">⌄ {panels.escape(panel["title"])}</div>')
                continue
            inside = self.content(panel, width, height)
            drawn.append(f'<div class="panel" style="{where}"><h3>{panels.escape(panel["title"])}</h3>{inside}</div>')
        chosen = "".join(f"<span>{variable['label']}: {self._choice(variable)}</span>"
                         for variable in grafana_dashboard.variables(self.dashboard) if variable["type"] == "query")
        head = f"<header><b>{panels.escape(self.dashboard['title'])}</b>{chosen}<span>Last {self.seconds / 60:g} minutes</span></header>"
        kind = f'<html class="{theme}"><meta charset="utf-8"><style>{STYLE}</style><body>'
        return f"<!doctype html>{kind}{head}{''.join(drawn)}</body></html>", int(bottom + 10)

    def _choice(self, variable):
        return "All" if variable.get("multi") else CHOSEN[variable["name"]]


def panel_has_bars(panel):
    return panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"


def photograph(page, height, picture):
    """A PNG of few colors, so that it stays small."""
    with tempfile.TemporaryDirectory() as folder:
        source, raw = Path(folder) / "page.html", Path(folder) / "raw.png"
        source.write_text(page)
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
                        f"--window-size={WIDTH},{height}", f"--screenshot={raw}", source.as_uri()],
                       check=True, capture_output=True, timeout=120)
        subprocess.run(["pngquant", "--force", "--output", picture, "64", raw], check=True)


def draw(prometheus, seconds):
    end = time.time()
    for dashboard in (dashboard for dashboard in grafana_dashboard.dashboards() if "tidemark" in dashboard["tags"]):
        view = View(dashboard, prometheus, end, seconds)
        for theme in ("light", "dark"):
            page, height = view.page(theme)
            photograph(page, height, FOLDER / f"{dashboard['uid'].removeprefix('tidemark-')}-{theme}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6, help="how long the demo runs before the pictures are taken")
    options = parser.parse_args()
    port = processes.free_port()
    with tempfile.TemporaryDirectory() as folder:
        demo = processes.start([options.build / "tidemark", "demo", "--listen", f"127.0.0.1:{port}"],
                               env={**os.environ, "TMPDIR": folder}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            rules = sorted((ROOT / "alerts/rules").glob("*.yml"))
            with Prometheus(scrape_interval="1s", rules=rules, tidemark=f"127.0.0.1:{port}") as prometheus:
                time.sleep(options.minutes * 60)
                draw(prometheus, int(options.minutes * 60))
        finally:
            demo.terminate()
            demo.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
