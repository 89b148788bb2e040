#!/usr/bin/python3
"""Prints logstore.h as programs outside of this project get it: one file, with what it includes put in its place.

    logstore/public_header.py logstore/logstore.h
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^#include "(.+)"$')

# Of error.h only what callers need: the library doesn't export the rest.
PRIVATE = re.compile(r"/\*(?:(?!\*/).)*\*/\nvoid error_(?:set|set_errno|wrap)\((?:[^;]|\n)*;\n\n", re.S)


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


print("\n".join(expand(sys.argv[1], set())))
