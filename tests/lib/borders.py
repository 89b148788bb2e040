"""Who may know whom: the folders' borders, and the check that holds them.

Data flows one way (source, collector, snapshot, evaluate, publish, encode, HTTP), so what comes earlier never
includes what comes later, and nothing but the wiring knows everybody.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path

BASE = "exporter/base/*"
JUDGED = "exporter/snapshot.h exporter/findings.h exporter/poll_report.h exporter/granularity.h"

# The first row whose pattern fits a file tells what of the project it may include, besides its own header.
BORDERS = [
    # file                        may include
    ("exporter/base/*",           BASE),
    ("exporter/snapshot*",        f"{BASE} exporter/snapshot*"),
    ("exporter/poll_report*",     BASE),
    ("exporter/rules*",           BASE),
    ("exporter/overrides*",       f"{BASE} exporter/rules.h"),
    ("exporter/known*",           f"{BASE} exporter/snapshot.h"),
    ("exporter/events*",          f"{BASE} exporter/snapshot.h"),
    ("exporter/chart*",           BASE),
    ("exporter/findings*",        f"{BASE} exporter/snapshot.h exporter/events.h exporter/chart.h exporter/known.h"),
    ("exporter/history*",         f"{BASE} exporter/snapshot.h exporter/history* exporter/memory.h"),
    ("exporter/memory*",          f"{BASE} exporter/snapshot.h exporter/findings.h exporter/history.h exporter/events.h exporter/chart.h exporter/rules.h"),
    ("exporter/judgement*",       f"{BASE} {JUDGED} exporter/memory.h exporter/rules.h exporter/known.h exporter/evaluate.h"),
    ("exporter/forecast*",        f"{BASE} {JUDGED} exporter/memory.h exporter/rules.h exporter/judgement.h"),
    ("exporter/evaluate*",        f"{BASE} {JUDGED} exporter/history.h exporter/rules.h exporter/judgement.h exporter/evaluate* exporter/overrides.h"),
    ("exporter/granularity*",     BASE),
    ("exporter/page_policy*",     f"{BASE} exporter/metrics.h"),
    ("exporter/publish*",         f"{BASE} {JUDGED} exporter/page_policy.h exporter/publish*"),
    ("exporter/metrics*",         f"{BASE} {JUDGED} exporter/metrics*"),
    ("exporter/process*",         f"{BASE} exporter/snapshot.h"),
    ("exporter/measure*",         f"{BASE} {JUDGED} exporter/publish.h exporter/process.h exporter/reload_record.h exporter/metrics*"),
    ("exporter/encode*",          f"{BASE} {JUDGED} exporter/publish.h exporter/group_row.h exporter/measure.h exporter/metrics* exporter/encode*"),
    ("exporter/group_row*",       f"{BASE} {JUDGED} exporter/publish.h"),
    ("exporter/reason*",          f"{BASE} {JUDGED} exporter/reason*.h"),
    ("exporter/json_groups*",     f"{BASE} {JUDGED} exporter/publish.h exporter/group_row.h exporter/reason.h exporter/json_value.h exporter/json_range.h"),
    ("exporter/json_lists*",      f"{BASE} {JUDGED} exporter/publish.h exporter/json_value.h exporter/json_range.h"),
    ("exporter/json_range*",      f"{BASE} exporter/publish.h exporter/json_value.h"),
    ("exporter/json_value*",      f"{BASE} {JUDGED} exporter/events.h exporter/reason.h"),
    ("exporter/html*",            f"{BASE} {JUDGED} exporter/publish.h exporter/group_row.h exporter/reason.h exporter/html*.h"),
    ("exporter/http*",            f"{BASE} exporter/config_web.h exporter/json_groups.h exporter/json_lists.h exporter/publish.h exporter/measure.h exporter/encode.h exporter/gzip.h exporter/html.h exporter/*json.h exporter/web* exporter/http*"),
    ("exporter/web/*",            f"{BASE} exporter/web/*"),
    ("exporter/ask*",             BASE),
    ("exporter/terminal*",        BASE),
    ("exporter/status*",          f"{BASE} exporter/ask.h exporter/terminal.h exporter/status*"),
    ("exporter/state_file*",      f"{BASE} exporter/history.h"),
    ("exporter/recorder*",        f"{BASE} exporter/snapshot.h exporter/observations.h"),
    ("exporter/config*",          f"{BASE} collectors/collector.h exporter/rules.h exporter/granularity.h exporter/config* exporter/overrides.h"),
    ("exporter/demo*",            f"{BASE} exporter/* logstore/logstore.h"),
    ("exporter/main.c",           "*"),
    ("exporter/*",                f"{BASE} exporter/*.h collectors/collector.h"),
    ("collectors/kafka/*",        f"{BASE} {JUDGED} collectors/c*.h collectors/kafka/*"),
    ("collectors/logstore/*",     f"{BASE} {JUDGED} collectors/c*.h collectors/logstore/* logstore/logstore.h"),
    ("collectors/*",              f"{BASE} {JUDGED} collectors/c*.h"),
    ("logstore/cli/*",            f"{BASE} logstore/logstore.h logstore/cli/*"),
    ("logstore/*",                f"{BASE} logstore/*.h"),
    ("tests/*",                   "*"),
]

# Headers that don't come with the C library, and the files that may include them.
LIBRARIES = [
    ("librdkafka/*",  "collectors/kafka/* tests/*"),
    ("microhttpd.h",  "exporter/http*"),
    ("gnutls/*",      "exporter/http*"),
    ("jansson.h",     "exporter/config* exporter/metrics.c exporter/observations* exporter/*json* exporter/status* tests/*"),
    ("yaml.h",        "exporter/config_yaml.c tests/*"),
    ("zlib.h",        "exporter/gzip.c tests/*"),
    ("curl/*",        "exporter/ask*"),
    ("cmocka.h",      "tests/*"),
    ("sqlite3.h",     "tests/bench/*"),
    ("logstore/*",    "logstore/examples/*"),
]

# Of the C library, POSIX and Linux. Every other header in angle brackets is a library's.
SYSTEM = re.compile(
    r"(sys|linux|arpa|netinet|net)/[a-z_0-9]+\.h|"
    r"(assert|complex|crypt|ctype|dirent|dlfcn|elf|endian|errno|err|execinfo|ftw|fcntl|fenv|float|fnmatch|getopt|glob|grp|immintrin|"
    r"inttypes|iso646|langinfo|libgen|limits|locale|malloc|math|netdb|nl_types|nmmintrin|poll|pthread|pwd|regex|sched|"
    r"search|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|"
    r"string|strings|sysexits|syslog|termios|tgmath|threads|time|uchar|unistd|wchar|wctype|x86intrin|cpuid)\.h"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def _fits(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns.split())


def _own_complaint(file, header):
    if (header.startswith("../") or "/" not in header) and not header.endswith(".inc"):
        return f'"{header}": write the path from the root of the project'
    allowed = next((allowed for pattern, allowed in BORDERS if fnmatchcase(file, pattern)), None)
    if allowed is None:
        return "no row of BORDERS in tests/lib/borders.py fits this file: decide what it may know"
    if Path(header).with_suffix("") == Path(file).with_suffix("") or _fits(header, allowed):
        return None
    return f'"{header}" is none of what it may include: {allowed}'


def _library_complaint(file, header):
    if SYSTEM.fullmatch(header):
        return None
    allowed = next((allowed for pattern, allowed in LIBRARIES if fnmatchcase(header, pattern)), None)
    if allowed is None:
        return f"<{header}> is no header that LIBRARIES or SYSTEM in tests/lib/borders.py knows"
    return None if _fits(file, allowed) else f"<{header}> may be included by {allowed} only"


def violations(root, files):
    """A line for each #include in `files` (paths from the root) that crosses a border."""
    found = []
    for file in files:
        for number, line in enumerate((Path(root) / file).read_text(errors="replace").splitlines(), 1):
            include = INCLUDE.match(line)
            if include is None:
                continue
            own, library = include.groups()
            complaint = _own_complaint(file, own) if own else _library_complaint(file, library)
            if complaint:
                found.append(f"{file}:{number}: {complaint}")
    return found
