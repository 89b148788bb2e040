"""A log store made with the program's own commands, for tests that need a source but no broker."""

import json
import subprocess

from daemon import PROGRAM


class Store:
    def __init__(self, folder):
        self.folder = str(folder)

    def _log(self, verb, *arguments, lines=()):
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(
            [PROGRAM, "log", verb, self.folder, *map(str, arguments)], input=text.encode(), capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()

    def create(self, topic, partitions=1, *options):
        self._log("create", topic, "--partitions", partitions, *options)

    def append(self, topic, count):
        self._log("append", topic, lines=range(count))

    def append_records(self, topic, records):
        """Each a dictionary as `tidemark log append --json` takes it."""
        self._log("append", topic, "--json", lines=map(json.dumps, records))

    def commit(self, group, topic, offset):
        self._log("commit", group, topic, 0, offset)
