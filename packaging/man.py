#!/usr/bin/python3
"""Prints the man page: the template, and in it what the program says of its commands and flags.

    packaging/man.py build/tidemark /usr/share/doc/tidemark >tidemark.1
"""

import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent / "tidemark.1.in"
INDENTED = re.compile(r"^ {2,}(--?\S.*?)(?: {2,}(.*))?$")


def plain(text):
    """Text that troff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def said(program, *arguments):
    return subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=True).stdout


def listed(help_text, pattern):
    """(name, purpose) of each line that the pattern fits."""
    return [match.groups() for line in help_text.splitlines() if (match := re.match(pattern, line))]


def flags(help_text):
    """The flags that a command's help lists, as a list of troff."""
    items = [match.groups() for line in help_text.splitlines() if (match := INDENTED.match(line))]
    lines = [line for flag, purpose in items for line in (f".It Li {plain(flag)}", plain(purpose or ""))]
    return [".Bl -tag -width Ds", *filter(None, lines), ".El"] if items else []


def command(program, name, purpose):
    if name != "log":
        return [f".Ss tidemark {name}", plain(purpose[0].upper() + purpose[1:] + "."), *flags(said(program, name))]
    verbs = listed(said(program, "log"), r"^  ([a-z]+) +(.*)$")
    items = [line for verb, does in verbs for line in (f".It Cm {verb}", plain(does))]
    help_hint = ".Pp\n.Nm Cm log Ar verb Fl -help\nsays more."
    return [f".Ss tidemark {name}", plain(purpose[0].upper() + purpose[1:]), ".Bl -tag -width Ds", *items, ".El", help_hint]


def main():
    program, documents = sys.argv[1:]
    commands = listed(said(program), r"^  tidemark ([a-z]+) +(.*)$")
    shown = "\n".join(line for name, purpose in commands for line in command(program, name, purpose))
    # So that two builds of one state are the same: https://reproducible-builds.org/specs/source-date-epoch/
    when = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now().timestamp())), timezone.utc)
    date = f"{when:%B} {when.day}, {when.year}"
    page = TEMPLATE.read_text().replace("@DATE@", date).replace("@COMMANDS@", shown).replace("@DOCDIR@", documents)
    print(page, end="")


if __name__ == "__main__":
    main()
