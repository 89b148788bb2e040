"""A Prometheus of the test's own, and what Grafana would ask it."""

import json
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import processes


class Prometheus:
    """
    with Prometheus(["127.0.0.1:9308"]) as prometheus: …

    Scrapes these targets each second. `data` is a folder that has blocks already.
    """

    def __init__(self, targets, data=None, rules=()):
        self.folder = tempfile.TemporaryDirectory(prefix="tidemark-prometheus-")
        folder = Path(self.folder.name)
        scrape = {"job_name": "tidemark", "static_configs": [{"targets": list(targets)}]}
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rule) for rule in rules],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(folder / "log", "w+b")
        self.process = processes.start(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data or folder / 'data'}",
             "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdin=processes.subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        try:
            processes.wait_until(self._ready, 60, "an answer of Prometheus")
        except BaseException:
            self.close()
            raise

    def _ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise RuntimeError(f"Prometheus ended:\n{self.log.read().decode(errors='replace')}")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def _ask(self, path, parameters):
        try:
            data = urllib.parse.urlencode(parameters).encode()
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", data, timeout=60) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{json.load(error)['error']}\n{parameters['query']}") from None

    def now(self, expression, at=None):
        """[{"metric": labels, "value": [time, value]}]"""
        return self._ask("query", {"query": expression, "time": at or time.time()})

    def over_time(self, expression, seconds, step, until=None):
        """[{"metric": labels, "values": [[time, value]…]}]"""
        until = until or time.time()
        return self._ask("query_range", {"query": expression, "start": until - seconds, "end": until, "step": step})
