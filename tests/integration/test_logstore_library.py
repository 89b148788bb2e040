"""The log store's library as a stranger gets it: installed, found by pkg-config, used by a program with names of its own."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import processes
from daemon import PROGRAM

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.once
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
# What the library itself and what it uses of the project call things; whoever uses it may call other things so.
STRANGER = r"""
struct str { int mine; };
struct error { int mine; };
enum error_code { ERROR_NONE = 7, ERROR_IO, ERROR_NOT_FOUND };
#define STR_LITERAL mine
#include <logstore/logstore.h>
#include <stdio.h>

int str_of = 1, str_equal = 2, error_set = 3;
int error_text(void);
int error_clear(void);
int buf_add(void);
int crc32c(void);
int clock_wall_ms(void);
int fsio_write(void);
int error_text(void) { return 10; }
int error_clear(void) { return 20; }
int buf_add(void) { return 30; }
int crc32c(void) { return 40; }
int clock_wall_ms(void) { return 50; }
int fsio_write(void) { return 60; }

static int failed(struct logstore_error *error)
{
    printf("%d %s\n", (int)error->code, logstore_error_text(error));
    logstore_error_clear(error);
    return 1;
}

int main(int argc, char **argv)
{
    struct logstore_error error = {0};
    struct logstore_options options = {.access = LOGSTORE_CREATE};
    struct logstore_str topic = logstore_str_of("t");
    struct logstore_record record = {.key = LOGSTORE_STR_LITERAL("k"), .value = LOGSTORE_STR_LITERAL("stranger")};
    struct str own = {error_text() + error_clear() + buf_add() + crc32c() + clock_wall_ms() + fsio_write()};
    struct logstore *store = logstore_open(argc > 1 ? argv[1] : ".", &options, &error);
    if (store == NULL || !logstore_topic_create(store, topic, 1, NULL, &error) ||
        !logstore_append(store, topic, 0, &record, 1, NULL, &error))
        return failed(&error);
    if (logstore_topic_create(store, topic, 1, NULL, &error) || error.code != LOGSTORE_ERROR_EXISTS)
        return 2;
    logstore_error_clear(&error);
    struct logstore_reader *reader = logstore_reader_open(store, topic, 0, 0, &error);
    if (reader == NULL || logstore_read(reader, &record, &error) != LOGSTORE_READ_RECORD)
        return failed(&error);
    printf("%.*s %d %d\n", (int)record.value.length, record.value.bytes, own.mine, (int)ERROR_NOT_FOUND);
    logstore_reader_close(&reader);
    logstore_close(&store);
    return str_of + str_equal + error_set - 6;
}
"""


def call(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where it was installed by `make`, in an environment without what a make that runs the tests hands down."""
    prefix = tmp_path_factory.mktemp("prefix")
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    call("make", "-s", f"BUILD={Path(PROGRAM).resolve().parent}", f"PREFIX={prefix}", "install-library", cwd=ROOT, env=environment)
    return prefix


def flags(installed, *arguments):
    environment = os.environ | {"PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    return shlex.split(call("pkg-config", *arguments, "logstore", env=environment))


def build(installed, source, program, static):
    libraries = flags(installed, "--libs")
    if static:
        libraries = [part.replace("-llogstore", "-l:liblogstore.a") for part in flags(installed, "--static", "--libs")]
    call("cc", *STRICT, *flags(installed, "--cflags"), source, *libraries, "-o", program)
    linked = call("readelf", "-d", program)
    assert ("liblogstore.so.1" in linked) == (not static)


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_a_program_with_the_same_names_of_its_own_uses_it(installed, tmp_path, static):
    source, program = tmp_path / "stranger.c", tmp_path / "stranger"
    source.write_text(STRANGER)
    build(installed, source, program, static)
    environment = {} if static else {"LD_LIBRARY_PATH": str(installed / "lib")}
    assert call(program, tmp_path / "store", env=environment) == "stranger 210 9\n"
    assert call(PROGRAM, "log", "read", tmp_path / "store", "t") == "stranger\n"


def test_it_exports_its_own_names_only(installed):
    for library, option in (("liblogstore.so.1", "-D"), ("liblogstore.a", "-g")):
        names = re.findall(r" [A-Z] (\S+)$", call("nm", option, "--defined-only", installed / "lib" / library), re.M)
        assert len(names) > 40 and [name for name in names if not name.startswith("logstore_")] == []
    exported = set(re.findall(r" T (\S+)$", call("nm", "-D", "--defined-only", installed / "lib/liblogstore.so.1"), re.M))
    header = (installed / "include/logstore/logstore.h").read_text()
    code = re.sub(r"/\*.*?\*/|static inline.*?\n}\n", "", header, flags=re.S)
    declared = set(re.findall(r"\b(logstore_\w+)\(", code))
    assert exported == declared


def test_its_header_defines_its_own_macros_only(installed):
    def macros(text):
        defined = subprocess.run(
            ["cc", *flags(installed, "--cflags"), "-dM", "-E", "-"], input=text, capture_output=True, text=True, check=True
        ).stdout
        return set(re.findall(r"^#define (\w+)", defined, re.M))

    system = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
    added = macros(system + "#include <logstore/logstore.h>\n") - macros(system)
    assert added and all(name.startswith("LOGSTORE_") for name in added), added


def records(store, topic):
    done = subprocess.run([PROGRAM, "log", "read", str(store), topic, "--json"], capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_example_books_once_and_puts_aside_what_it_cannot(installed, tmp_path):
    """The same order comes twice, and one that can't be booked."""
    program, store = tmp_path / "worker", tmp_path / "store"
    build(installed, ROOT / "logstore/examples/worker.c", program, static=True)

    def append(key, value):
        call(PROGRAM, "log", "append", store, "orders", "--key", key, input=f"{value}\n")

    worker = subprocess.Popen([program, store], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        processes.wait_until(lambda: (store / "store").exists() and subprocess.run([PROGRAM, "log", "read", store, "orders"]).returncode == 0)
        for key, value in (("17", "100"), ("18", "what?"), ("17", "100"), ("19", "5")):
            append(key, value)
        processes.wait_until(lambda: {record["key"] for record in records(store, "booked")} == {"17", "19"})
        processes.wait_until(lambda: records(store, "orders.dead"))
    finally:
        worker.kill()
        worker.wait()
    assert sorted(record["key"] for record in records(store, "booked")) == ["17", "19"]
    [dead] = records(store, "orders.dead")
    assert dead["key"] == "18" and "headers" in dead
