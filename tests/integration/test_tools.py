"""The tools that everything else is checked with: they must see what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

import borders
import docs
import exposition

ROOT = Path(__file__).resolve().parent.parent.parent

PASSED = '<testsuites><testsuite><testcase name="one"/><testcase name="two"/></testsuite></testsuites>'
FAILED = '<testsuites><testsuite><testcase name="one"><failure>1 is not 2</failure></testcase></testsuite></testsuites>'


def run_fakes(folder, **programs):
    """tests/run on unit programs that are shell scripts: (exit code, last line, everything printed)."""
    unit = folder / "tests/unit"
    unit.mkdir(parents=True)
    for name, script in programs.items():
        program = unit / f"test_{name}"
        program.write_text(f"#!/bin/sh\nreport=$(dirname \"$CMOCKA_XML_FILE\")/group.xml\n{script}\n")
        program.chmod(0o755)
    command = [sys.executable, ROOT / "tests/run", "--build", folder, "--suite", "unit"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines()[-1], done.stdout + done.stderr


def report(xml):
    return f"echo '{xml}' >\"$report\""


def test_the_runner_counts_what_passed(tmp_path):
    code, last, _ = run_fakes(tmp_path, first=report(PASSED), second=report(PASSED))
    assert (code, last) == (0, "4 passed, 0 failed")


@pytest.mark.parametrize(
    "script, shown",
    [
        (report(FAILED) + "; exit 1", "1 is not 2"),
        (report(PASSED) + "; kill -SEGV $$", "exit code -11"),
        ("exit 0", "no report"),
        ("echo partial >$report", "can't be read"),
        (report(PASSED) + "; exit 3", "exit code 3"),
        (report(PASSED) + '; echo heap-use-after-free >"$(dirname "$report")/report.1"', "heap-use-after-free"),
    ],
    ids=["failure", "crash", "no report", "half a report", "exit code", "sanitizer"],
)
def test_the_runner_sees_a_failure_beside_a_success(tmp_path, script, shown):
    code, last, printed = run_fakes(tmp_path, good=report(PASSED), bad=script)
    assert code == 1
    assert last.endswith(", 1 failed")
    assert shown in printed


def test_the_runner_fails_when_nothing_ran(tmp_path):
    code, last, _ = run_fakes(tmp_path)
    assert (code, last) == (1, "0 passed, 0 failed")


@pytest.mark.parametrize(
    "file, line",
    [
        ("exporter/base/buf.c", '#include "exporter/snapshot.h"'),
        ("exporter/base/buf.c", "#include <jansson.h>"),
        ("exporter/evaluate.c", "#include <librdkafka/rdkafka.h>"),
        ("exporter/evaluate.c", '#include "collectors/collector.h"'),
        ("exporter/http.c", '#include "collectors/collector.h"'),
        ("exporter/snapshot.c", "# include <microhttpd.h>"),
        ("logstore/log.c", '#include "exporter/snapshot.h"'),
        ("collectors/kafka/poll.c", '#include "logstore/logstore.h"'),
        ("collectors/logstore/poll.c", '#include "logstore/segment.h"'),
        ("exporter/history.c", '#include "snapshot.h"'),
        ("exporter/history.c", "#include <surprise.h>"),
        ("somewhere/new.c", '#include "exporter/base/buf.h"'),
    ],
)
def test_a_border_that_is_crossed_is_named(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"#include <stdio.h>\n{line}\n")
    assert [violation.split(" ")[0] for violation in borders.violations(tmp_path, [file])] == [f"{file}:2:"]


def test_what_a_file_may_know_is_no_violation(tmp_path):
    path = tmp_path / "collectors/kafka/poll.c"
    path.parent.mkdir(parents=True)
    path.write_text(
        '#include "collectors/kafka/poll.h"\n#include "collectors/collector.h"\n#include "exporter/base/buf.h"\n'
        '#include "exporter/snapshot.h"\n#include <librdkafka/rdkafka.h>\n#include <sys/socket.h>\n'
    )
    assert borders.violations(tmp_path, ["collectors/kafka/poll.c"]) == []


def test_only_the_generated_block_of_a_document_is_replaced():
    document = "a\n<!-- metrics:begin -->\nold\n<!-- metrics:end -->\nb\n"
    assert docs.replace_block(document, "metrics", "new\n") == document.replace("old", "new")
    for broken in ["no marks", document + document, document.replace("begin", "start")]:
        with pytest.raises(docs.Outdated):
            docs.replace_block(broken, "metrics", "new\n")


def page(*samples):
    return "\n".join(["# HELP m Help.", "# TYPE m gauge", *samples, ""]).encode()


def test_the_parser_keeps_what_a_float_would_lose():
    parsed = exposition.parse(page(r'm{a="quote \" backslash \\ newline \n",b="x,y}"} 9223372036854775807', "m 0.5"))
    assert parsed.get_int("m", a='quote " backslash \\ newline \n', b="x,y}") == 2**63 - 1
    assert parsed.get_text("m") == "0.5"


@pytest.mark.parametrize(
    "bad",
    [
        page("m NaN"),
        page("m +Inf"),
        page("m 1", "m 2"),
        page('m{a="1"} 1', 'm{a="1"} 1'),
        page('m{a="1",a="2"} 1'),
        page('m{a="1" b="2"} 1'),
        page('m{a="\\x"} 1'),
        page('m{a="unended} 1'),
        page("m 1") + b"x 1\n",
        page("m 1") + b"# HELP n Help.\n# TYPE n gauge\nm 2\n",
        page("m 1") + b"# TYPE m gauge\n",
        page("m 1")[:-1],
        page('m{a="\xff"} 1').replace("ÿ".encode(), b"\xff"),
        page("", "m 1"),
    ],
)
def test_the_parser_refuses_what_the_format_forbids(bad):
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        exposition.parse(bad)
