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

    def __init__(self, scrape_interval="500ms", settings=None, **targets):
        """`settings` are further ones of every job: scheme, tls_config, basic_auth …"""
        self.folder = tempfile.TemporaryDirectory(prefix="tidemark-prometheus-")
        folder = Path(self.folder.name)
        self.port = processes.free_port()
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [target]}], **(settings or {})}
            for name, target in targets.items()
        ]
        # JSON is YAML.
        configuration = {"global": {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval}, "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self.log = open(folder / "log", "wb+")
        self.process = processes.start(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
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

    def query(self, promql):
        """[(labels, the value's text)] of an instant vector; [] as long as Prometheus isn't up."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": promql})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            assert self.process.poll() is None, "Prometheus ended"
            return []
        return [(sample["metric"], sample["value"][1]) for sample in result["data"]["result"]]

    def wait_for(self, promql, timeout=60):
        """The result of the query once it has one."""
        return processes.wait_until(lambda: self.query(promql), timeout, promql, pause=0.2)
