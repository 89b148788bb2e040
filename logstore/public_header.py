#!/usr/bin/python3
"""Prints logstore.h as programs outside of this project get it: one file, with what it includes put in its place, in
which every name begins with "logstore_" or "LOGSTORE_", so that none collides with one of the program's own.

    logstore/public_header.py logstore/logstore.h
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^#include "(.+)"$')

# Of error.h only what callers need: the library doesn't export the rest.
PRIVATE = re.compile(r"/\*(?:(?!\*/).)*\*/\nvoid error_(?:set|set_errno|wrap)\((?:[^;]|\n)*;\n\n", re.S)

# What of the base can be seen. The library's object gets the two functions' names alike (Makefile).
RENAMED = (
    (re.compile(r"\b(struct |enum )(str|error|error_code)\b"), r"\1logstore_\2"),
    (re.compile(r"\b(str_(?:of|equal|compare)|error_(?:text|clear))\b"), r"logstore_\1"),
    (re.compile(r"\b(ERROR_[A-Z_]+|STR_LITERAL)\b"), r"LOGSTORE_\1"),
    (re.compile(r"\bTIDEMARK_BASE_"), "LOGSTORE_"),
)


def expand(path, seen):
    text = Path(path).read_text()
    lines = []
    for line in PRIVATE.sub("", text).splitlines():
        found = INCLUDE.match(line)
        if not found:
            lines.append(line)
        elif found[1] not in seen:
            seen.add(found[1])
            lines += expand(found[1], seen)
    return lines


def rename(text):
    for old, new in RENAMED:
        text = old.sub(new, text)
    return text


print(rename("\n".join(expand(sys.argv[1], set()))))
