"""A strict reader of Prometheus' text format that keeps values as they are written: a float could not tell
9223372036854775807 from its neighbours.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? ([^ ]+)$", re.S)
_COMMENT = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.*)$")
_VALUE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?")
_UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Page(dict):
    """{(name, frozenset of (label, value)): the value's text}, and what was said about each family."""

    def __init__(self):
        super().__init__()
        self.types = {}
        self.helps = {}

    def get_text(self, name, **labels):
        """The value of one series as it stands on the page; None if it isn't there."""
        return self.get((name, frozenset(labels.items())))

    def get_int(self, name, **labels):
        text = self.get_text(name, **labels)
        return None if text is None else int(text)

    def family(self, name):
        """{labels as a dict's items: value text} of all series of that name."""
        return [(dict(labels), value) for (series, labels), value in self.items() if series == name]

    def by(self, name, *labels):
        """{values of these labels: value as a number} of all series of that name."""
        series = self.family(name)
        result = {tuple(found[label] for label in labels): number(value) for found, value in series}
        assert len(result) == len(series), f"the labels {labels} don't tell all series of {name} apart"
        return result


def number(text):
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else float(text)


def _labels(text, line):
    labels, position = {}, 0
    while position < len(text):
        match = _LABEL.match(text, position)
        assert match, f"bad labels: {line!r}"
        name, value = match.groups()
        assert name not in labels, f"label {name} twice: {line!r}"
        labels[name] = re.sub(r"\\.", lambda escape: _UNESCAPED[escape.group()], value)
        position = match.end()
        if position < len(text):
            assert text[position] == ",", f"bad labels: {line!r}"
            position += 1
    return frozenset(labels.items())


def parse(data):
    """The Page in `data` (bytes). Asserts what the format demands, and what this project promises beyond it: every
    family has HELP and TYPE and stays in one piece, every value is a finite number."""
    text = data.decode("utf-8")
    assert text.endswith("\n"), "the last line doesn't end"
    page, finished, current = Page(), set(), None
    # Not splitlines(), for which a form feed in a group's name would end a line.
    for line in text[:-1].split("\n"):
        comment = _COMMENT.match(line)
        if comment:
            kind, name, rest = comment.groups()
            known = page.helps if kind == "HELP" else page.types
            assert name not in known, f"second {kind} of {name}"
            known[name] = rest
            if name != current:
                assert name not in finished, f"{name} is in two pieces"
                finished.add(current)
                current = name
            continue
        sample = _SAMPLE.match(line)
        assert sample, f"bad line: {line!r}"
        name, labels, value = sample.groups()
        assert name == current and name in page.types and name in page.helps, f"{name} stands outside its family"
        assert _VALUE.fullmatch(value), f"bad value: {line!r}"
        series = (name, _labels(labels or "", line))
        assert series not in page, f"twice: {line!r}"
        page[series] = value
    return page
