"""A real Prometheus that scrapes what a test tells it to, and answers PromQL."""

import json
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import processes


class Prometheus:
    """
    with Prometheus(job="127.0.0.1:9308") as prometheus:
        prometheus.wait_for('up{job="job"} == 1')
    """

    def __init__(self, scrape_interval="500ms", settings=None, data=None, rules=(), **targets):
        """`settings` are further ones of every job: scheme, tls_config, basic_auth …; `data` is a folder with blocks
        that it is to have from the beginning; `rules` are files. A target None is this Prometheus itself."""
        self.folder = tempfile.TemporaryDirectory(prefix="tidemark-prometheus-")
        folder = Path(self.folder.name)
        self.port = processes.free_port()
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [target or f"127.0.0.1:{self.port}"]}], **(settings or {})}
            for name, target in targets.items()
        ]
        # JSON is YAML.
        pace = {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval, "evaluation_interval": scrape_interval}
        configuration = {"global": pace, "scrape_configs": jobs, "rule_files": [str(rule) for rule in rules]}
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self.log = open(folder / "log", "wb+")
        self.process = processes.start(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={data or folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def _ask(self, path, **parameters):
        """The result; None as long as Prometheus isn't up. What it has to complain about is an AssertionError."""
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", body, timeout=120) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as refused:
            assert refused.code == 503, f"{refused.read().decode()}\n{parameters['query']}"
        except OSError:
            assert self.process.poll() is None, "Prometheus ended"
        return None

    def query(self, promql):
        """[(labels, the value's text)] of an instant vector; [] as long as Prometheus isn't up."""
        return [(sample["metric"], sample["value"][1]) for sample in self._ask("query", query=promql) or []]

    def at(self, promql, moment):
        """[{"metric": labels, "value": [time, value]}] at that time."""
        return self._ask("query", query=promql, time=moment) or []

    def over_time(self, promql, seconds, step, end):
        """[{"metric": labels, "values": [[time, value]…]}] of the seconds before the end."""
        return self._ask("query_range", query=promql, start=end - seconds, end=end, step=step) or []

    def wait_for(self, promql, timeout=120):
        """The result of the query once it has one."""
        return processes.wait_until(lambda: self.query(promql), timeout, promql, pause=0.2)
