#!/usr/bin/python3
"""Keeps the parts of the documents that derive from the program equal to what it says.

    tests/lib/docs.py --build build            exit code 1 and the difference if a document is out of date
    tests/lib/docs.py --build build --write    brings it up to date
"""

import argparse
import difflib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# document, name of the block between <!-- NAME:begin --> and <!-- NAME:end --> (None: the whole document), the
# command that prints it
GENERATED = [
    ("README.md", "metrics", ["metrics", "--markdown"]),
    ("examples/tidemark.schema.json", None, ["schema"]),
]


class Outdated(Exception):
    pass


def replace_block(document, name, block):
    """The document's text with `block` between the marks of that name."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise Outdated(f"it must have one line {begin.strip()} and after it one {end}")
    head, rest = document.split(begin)
    _, tail = rest.split(end)
    return head + begin + block.strip("\n") + "\n" + end + tail


def update(build, write):
    """Brings each document up to date, or complains about the first that isn't."""
    for path, name, arguments in GENERATED:
        try:
            shown = subprocess.run([build / "tidemark", *arguments], capture_output=True, text=True, check=True)
            document = (ROOT / path).read_text()
            current = replace_block(document, name, shown.stdout) if name else shown.stdout
        except (OSError, subprocess.CalledProcessError, Outdated) as error:
            raise Outdated(f"{path}: {error}") from error
        if write:
            (ROOT / path).write_text(current)
        elif current != document:
            lines = difflib.unified_diff(document.splitlines(), current.splitlines(), path, "generated", lineterm="", n=0)
            raise Outdated("\n".join(["run `make docs`", *lines]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    try:
        update(options.build.resolve(), options.write)
    except Outdated as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
