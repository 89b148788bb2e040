"""A log store made with the program's own commands, for tests that need a source but no broker."""

import subprocess

from daemon import PROGRAM


class Store:
    def __init__(self, folder):
        self.folder = str(folder)

    def _log(self, verb, *arguments, lines=()):
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(
            [PROGRAM, "log", verb, self.folder, *map(str, arguments)], input=text.encode(), capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()

    def create(self, topic, partitions=1):
        self._log("create", topic, "--partitions", partitions)

    def append(self, topic, count):
        self._log("append", topic, lines=range(count))

    def commit(self, group, topic, offset):
        self._log("commit", group, topic, 0, offset)
