"""Draws Grafana's panels as HTML and SVG from their JSON and Prometheus' answers: not Grafana, but near enough to see
what a dashboard shows, and whether it can be read in light and dark."""

import html
import math
import re
import time

# Grafana's names of colors, as variables of the page's style, which has them for light and dark.
PALETTE = ["green", "yellow", "blue", "orange", "red", "purple", "teal", "pink", "olive", "grey"]
ROW_HEIGHT, GAP = 34, 8

_SPANS = [(604800, "w"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
_POWERS = [(1e9, "G"), (1e6, "M"), (1e3, "k")]
_BYTES = [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")]


def escape(text):
    return html.escape(str(text))


def color(name):
    return f"var(--{name})"


def _digits(value, decimals):
    if decimals is not None:
        return f"{value:.{decimals}f}"
    size = abs(value)
    places = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2
    return f"{value:.{places}f}"


def _scaled(value, scales, decimals, between=" "):
    for factor, suffix in scales:
        if abs(value) >= factor:
            return f"{_digits(value / factor, decimals)}{between}{suffix}"
    return None


def shown(value, unit, decimals=None):
    """A number as Grafana shows it in a unit."""
    if unit == "percentunit":
        return f"{_digits(100 * value, decimals)}%"
    if unit == "s":
        return _scaled(value, _SPANS, decimals) or (f"{_digits(1000 * value, decimals)} ms" if value else "0 s")
    if unit == "bytes":
        return _scaled(value, _BYTES, decimals) or f"{_digits(value, decimals)} B"
    if unit == "locale":
        return f"{round(value):,}"
    plain = _digits(value, decimals) if unit == "none" else _scaled(value, _POWERS, decimals, "") or _digits(value, decimals)
    return f"{plain} msg/s" if unit == "mps" else plain


def step_color(value, thresholds):
    """The color of the last threshold that the value has reached."""
    reached = [step["color"] for step in thresholds["steps"] if step["value"] is None or value >= step["value"]]
    return reached[-1]


def mapped(value, mappings):
    """(text, color) of a value mapping, or None."""
    for mapping in mappings or ():
        found = mapping["options"].get(str(value).removesuffix(".0"))
        if found:
            return found["text"], found["color"]
    return None


def legend(template, labels):
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match.group(1), ""), template)


def nothing(panel):
    return f'<div class="nothing">{escape(panel["fieldConfig"]["defaults"]["noValue"])}</div>'


# --- numbers -----------------------------------------------------------------------------------------------


def stat(panel, answers):
    defaults = panel["fieldConfig"]["defaults"]
    if not answers[0]:
        return nothing(panel)
    value = float(answers[0][0]["value"][1])
    text, tone = mapped(value, defaults.get("mappings")) or (
        shown(value, defaults["unit"], defaults.get("decimals")), step_color(value, defaults["thresholds"]))
    return f'<div class="stat" style="color:{color(tone)}">{escape(text)}</div>'


# --- lines -------------------------------------------------------------------------------------------------


def _ticks(low, high, unit, count=4):
    """Values from low to high that are round in the unit."""
    factor = next((factor for factor, _ in {"s": _SPANS, "bytes": _BYTES}.get(unit, []) if high >= factor), 1)
    return [factor * value for value in _round(low / factor, high / factor, count)]


def _round(low, high, count):
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first = math.ceil(low / step) * step
    return [first + i * step for i in range(int((high - first) / step) + 1)]


class Plane:
    """Where a value at a time lies in an SVG."""

    LEFT, BOTTOM, TOP = 64, 18, 6

    def __init__(self, width, height, begin, end, low, high, powers=False):
        self.width, self.height, self.powers = width, height, powers
        self.begin, self.end, self.low, self.high = begin, end, low, high if high > low else low + 1

    def x(self, moment):
        return self.LEFT + (self.width - self.LEFT - 6) * (moment - self.begin) / (self.end - self.begin)

    def y(self, value):
        room = self.height - self.TOP - self.BOTTOM
        low, high, value = self._scaled(self.low), self._scaled(self.high), self._scaled(value)
        return self.TOP + room * (1 - (value - low) / (high - low))

    def _scaled(self, value):
        """Linear up to 1, then its logarithm, where the panel's scale is of powers."""
        return 1 + math.log10(value) if self.powers and value > 1 else value

    def _values(self, unit):
        if self.powers:
            return [0, *(10**power for power in range(0, math.ceil(math.log10(max(self.high, 1))) + 1) if 10**power <= self.high)]
        return _ticks(self.low, self.high, unit)

    def axes(self, unit):
        lines = []
        for value in self._values(unit):
            y = self.y(value)
            lines.append(f'<line class="grid" x1="{self.LEFT}" x2="{self.width - 6}" y1="{y:.1f}" y2="{y:.1f}"/>'
                         f'<text x="{self.LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(shown(value, unit))}</text>')
        most = max(2, self.width // 85)  # so that they don't touch
        every = next(step for step in (15, 30, 60, 120, 300, 600, 3600) if (self.end - self.begin) / step <= most)
        moment = math.ceil(self.begin / every) * every
        while moment <= self.end:
            clock = time.strftime("%H:%M:%S" if every < 60 else "%H:%M", time.gmtime(moment))
            lines.append(f'<text x="{self.x(moment):.1f}" y="{self.height - 4}" text-anchor="middle">{clock}</text>')
            moment += every
        return "".join(lines)


def _fixed_colors(panel):
    fixed = {}
    for override in panel["fieldConfig"]["overrides"]:
        for given in override["properties"]:
            if given["id"] == "color":
                fixed[override["matcher"]["options"]] = given["value"]["fixedColor"]
    return fixed


def _dashed(panel):
    return {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]
            for given in override["properties"] if given["id"] == "custom.lineStyle"}


def _lines(panel, answers):
    """[(name, color, {time: value})], as the legend has them: sorted by their last values."""
    found = []
    for target, series in zip(panel["targets"], answers):
        for one in series:
            values = {float(moment): float(value) for moment, value in one["values"]}
            found.append((legend(target.get("legendFormat", ""), one["metric"]), values))
    fixed = _fixed_colors(panel)
    colored = [(name, fixed.get(name, PALETTE[i % len(PALETTE)]), values) for i, (name, values) in enumerate(found)]
    return sorted(colored, key=lambda line: line[2][max(line[2])], reverse=panel["options"]["legend"]["sortDesc"])


def _stack(lines):
    """The same with each line's values on top of those before it, and what they stand on."""
    below, stacked = {}, []
    for name, tone, values in lines:
        floor = {moment: below.get(moment, 0) for moment in values}
        top = {moment: floor[moment] + value for moment, value in values.items()}
        below.update(top)
        stacked.append((name, tone, top, floor))
    return stacked


def _runs(values, step):
    """The line in pieces: where there was no value there is no line."""
    runs = []
    for moment in sorted(values):
        if not runs or moment - runs[-1][-1] > 1.5 * step:
            runs.append([])
        runs[-1].append(moment)
    return runs


def _marks(panel, plane, lines, step):
    custom = panel["fieldConfig"]["defaults"]["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    placed = _stack(lines) if stacked else [(*line, dict.fromkeys(line[2], plane.low)) for line in lines]
    marks, dashed = [], _dashed(panel)
    for name, tone, values, floor in placed:
        if custom["drawStyle"] == "bars":
            width = max(1.5, plane.x(step) - plane.x(0) - 1.5)
            marks += [f'<rect x="{plane.x(moment) - width / 2:.1f}" y="{plane.y(value):.1f}" width="{width:.1f}" '
                      f'height="{max(0, plane.y(floor[moment]) - plane.y(value)):.1f}" fill="{color(tone)}" opacity="0.7"/>'
                      for moment, value in values.items() if value > floor[moment]]
            continue
        for run in _runs(values, step):
            points = [f"{plane.x(moment):.1f},{plane.y(values[moment]):.1f}" for moment in run]
            if stacked:
                base = [f"{plane.x(moment):.1f},{plane.y(floor[moment]):.1f}" for moment in reversed(run)]
                marks.append(f'<polygon points="{" ".join(points + base)}" fill="{color(tone)}" opacity="0.3"/>')
            dash = ' stroke-dasharray="8 6"' if name in dashed else ""
            marks.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color(tone)}" stroke-width="2"{dash}/>')
    return "".join(marks), placed


def timeseries(panel, answers, width, height, span, step, alerts):
    """`span` is (begin, end), `alerts` are [(time, name)]."""
    defaults = panel["fieldConfig"]["defaults"]
    lines = _lines(panel, answers)
    if not lines:
        return nothing(panel)
    height -= 34 + 18 * min(len(lines), 4) + 22
    placed = _stack(lines) if defaults["custom"]["stacking"]["mode"] == "normal" else lines
    values = [value for line in placed for value in line[2].values()]
    steps = [s for s in defaults.get("thresholds", {"steps": []})["steps"] if s["value"] is not None] if "thresholdsStyle" in defaults["custom"] else []
    low, high = min([*values, defaults.get("min", math.inf)]), max(values)
    powers = defaults["custom"].get("scaleDistribution", {}).get("type") == "symlog"
    plane = Plane(width - 16, height, *span, low, high * 1.05, powers)
    marks, _ = _marks(panel, plane, lines, step)
    for threshold in steps:
        if low <= threshold["value"] <= high:
            y = plane.y(threshold["value"])
            marks += (f'<line x1="{plane.LEFT}" x2="{plane.width - 6}" y1="{y:.1f}" y2="{y:.1f}" '
                      f'stroke="{color(threshold["color"])}" stroke-dasharray="4 4"/>')
    for moment, name in alerts:
        x = plane.x(moment)
        marks += (f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{plane.TOP}" y2="{height - plane.BOTTOM}" stroke="{color("red")}" '
                  f'stroke-dasharray="2 3" opacity="0.8"><title>{escape(name)}</title></line>')
    return f'<svg width="{plane.width}" height="{height}">{plane.axes(defaults["unit"])}{marks}</svg>' + _legend(panel, lines)


def _legend(panel, lines):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    extreme = panel["options"]["legend"]["calcs"][1]
    rows = "".join(
        f'<tr><td><i style="background:{color(tone)}"></i>{escape(name)}</td><td>{escape(shown(values[max(values)], unit))}</td>'
        f'<td>{escape(shown({"min": min, "max": max}[extreme](values.values()), unit))}</td></tr>'
        for name, tone, values in lines[:4]
    )
    return f'<table class="legend"><tr><th>Name</th><th>Last *</th><th>{extreme.title()}</th></tr>{rows}</table>'


# --- cells -------------------------------------------------------------------------------------------------


def heat(panel, answers, width, height, span, step):
    defaults, [series] = panel["fieldConfig"]["defaults"], answers
    if not series:
        return nothing(panel)
    height -= 34
    names = [legend(panel["targets"][0]["legendFormat"], one["metric"]) for one in series]
    row, left = (height - 20) / len(series), 130
    plane = Plane(width - 16, height, *span, 0, 1)
    plane.LEFT = left
    cell = plane.x(step) - plane.x(0)
    cells = []
    for i, (name, one) in enumerate(zip(names, series)):
        cells.append(f'<text x="{left - 6}" y="{row * i + row / 2 + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        cells += [f'<rect x="{plane.x(float(moment)) - cell:.1f}" y="{row * i + row * 0.05:.1f}" width="{cell * 0.95:.1f}" '
                  f'height="{row * 0.9:.1f}" fill="{color(step_color(float(value), defaults["thresholds"]))}" opacity="0.8"/>'
                  for moment, value in one["values"] if float(moment) - step >= span[0]]
    return f'<svg width="{plane.width}" height="{height}">{plane.axes("").split("<line")[0]}{"".join(cells)}{_clock(plane)}</svg>'


def _clock(plane):
    """The axis of time alone."""
    return "".join(re.findall(r'<text [^>]*text-anchor="middle">[^<]*</text>', plane.axes("none")))


def _properties(panel, title):
    """What the overrides say of a column."""
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == title:
            return {given["id"]: given["value"] for given in override["properties"]}
    return {}


def _cell(value, properties):
    """A column's value: of a label text, of a query a number."""
    if value is None:
        return "<td></td>"
    tone = "text"
    text = value if isinstance(value, str) else shown(value, properties.get("unit", "short"), properties.get("decimals"))
    if "mappings" in properties and mapped(value, properties["mappings"]):
        text, tone = mapped(value, properties["mappings"])
    elif "thresholds" in properties and not isinstance(value, str):
        tone = step_color(value, properties["thresholds"])
    linked = ' class="link"' if "links" in properties else ""
    return f'<td style="color:{color(tone)}"><span{linked}>{escape(text)}</span></td>'


def _rows(panel, answers):
    """[{column's title: value}], merged by their labels and in the panel's order."""
    organize = panel["transformations"][1]["options"]
    names = organize["renameByName"]
    merged = {}
    for target, series in zip(panel["targets"], answers):
        value_name = "Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}"
        for one in series:
            labels = {name: value for name, value in one["metric"].items() if name != "__name__"}
            row = merged.setdefault(tuple(sorted(labels.items())), {names[name]: labels[name] for name in labels if name in names})
            row[names[value_name]] = float(one["value"][1])
    [order] = panel["options"]["sortBy"]
    column = order["displayName"]
    present = [row for row in merged.values() if column in row]
    return sorted(present, key=lambda row: row[column], reverse=order["desc"]) + [row for row in merged.values() if column not in row]


def table(panel, answers, height):
    rows = _rows(panel, answers)
    if not rows:
        return nothing(panel)
    titles = list(panel["transformations"][1]["options"]["renameByName"].values())
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    fit = int((height - 70) / 27)
    body = "".join("<tr>" + "".join(_cell(row.get(title), _properties(panel, title)) for title in titles) + "</tr>" for row in rows[:fit])
    return f'<table class="table"><tr>{head}</tr>{body}</table>'


# --- text --------------------------------------------------------------------------------------------------


def _inline(text):
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def markdown(panel):
    """As much of it as the dashboards use: a table, a list, paragraphs."""
    blocks = []
    for block in panel["options"]["content"].strip().split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            cells = [[_inline(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
            head = "".join(f"<th>{cell}</th>" for cell in cells[0])
            body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells[2:])
            blocks.append(f'<table class="table markdown"><tr>{head}</tr>{body}</table>')
        elif re.match(r"\d+\. ", lines[0]):
            blocks.append("<ol>" + "".join(f"<li>{_inline(line.split('. ', 1)[1])}</li>" for line in lines) + "</ol>")
        else:
            blocks.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(blocks)
