"""The program under test: the daemon, started on a free port, and its page."""

import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

import exposition
import processes

PROGRAM = os.environ.get("TIDEMARK", "build/tidemark")
POLL_INTERVAL = "200ms"


def run(*arguments, timeout=processes.PATIENCE_S):
    """Runs tidemark to its end: (exit code, standard output as bytes, standard error as text)."""
    code, output, errors = processes.run([PROGRAM, *arguments], timeout)
    return code, output, errors.decode(errors="replace")


class Daemon:
    """
    with Daemon("--kafka", "127.0.0.1:9092") as daemon: …

    It has to end cleanly (exit code 0 after SIGTERM) at the end of the block.
    """

    def __init__(self, *arguments, program=PROGRAM, poll_interval=POLL_INTERVAL):
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.TemporaryFile()
        command = [program, "serve", "--listen", f"127.0.0.1:{self.port}"]
        if poll_interval:
            command += ["--poll-interval", poll_interval]
        self.process = processes.start(
            [*command, *arguments], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        try:
            processes.wait_until(self._answers, what="an answer of the daemon")
        except BaseException:
            self.process.kill()
            raise

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended with exit code {self.process.returncode}:\n{self.logged()}")
        try:
            self.get("/metrics")
        except OSError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        code = self.stop()
        if failure is None:
            assert code == 0, f"exit code {code} after SIGTERM:\n{self.logged()}"

    def stop(self, how=signal.SIGTERM, timeout=60):
        """Ends it and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {timeout} s after {how.name}:\n{self.logged()}") from None

    def logged(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def get(self, path, timeout=60, **headers):
        """The body of an answer, as bytes."""
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read()

    def wait_ready(self):
        """Until every source was polled, or is known to be down."""

        def ready():
            try:
                return self.get("/readyz")
            except urllib.error.HTTPError:
                return False

        processes.wait_until(ready, what="readiness")

    def page(self):
        """The metrics as they are now."""
        return exposition.parse(self.get("/metrics"))

    def page_when(self, condition, timeout=processes.PATIENCE_S):
        """The first page for which `condition(page)` is true; an AssertionError in it means "not yet"."""
        last = None

        def check():
            nonlocal last
            last = self.page()
            return condition(last)

        try:
            processes.wait_until(check, timeout, "the page that is waited for", pause=0.1)
        except AssertionError as error:
            shown = "\n".join(f"{name}{dict(labels)} {value}" for (name, labels), value in (last or {}).items())
            raise AssertionError(f"{error}\nlast page:\n{shown[:20000]}\nlog:\n{self.logged()[-5000:]}") from None
        return last
