"""The page in its two formats, plain and compressed, as clients ask for them; and as Prometheus stores it."""

import gzip
import http.client
import http.server
import re
import socket
import subprocess
import threading
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import processes
from daemon import PROGRAM, Daemon
from prometheus_server import Prometheus

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS_ASKS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def make_store(folder):
    """A log store with two topics, on which two groups have committed."""

    def log(*arguments, lines=()):
        text = "".join(f"{line}\n" for line in lines)
        subprocess.run([PROGRAM, "log", *arguments], input=text, text=True, check=True, timeout=120)

    store = folder / "store"
    for topic in ["orders", "clicks"]:
        log("create", store, topic, "--partitions", "3")
        log("append", store, topic, lines=range(30))
        for group, offset in [("billing", 2), ("search \"quoted\"", 4)]:
            log("commit", store, group, topic, "0", str(offset))
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("formats"))


@pytest.fixture(scope="module")
def daemon(store):
    """It has polled once, and won't again while it is looked at."""
    with Daemon("--logstore", str(store), poll_interval="1h") as daemon:
        daemon.page_when(lambda page: len(page.family("kafka_consumergroup_members")) == 2)
        yield daemon


@pytest.fixture
def polling(store):
    with Daemon("--logstore", str(store)) as daemon:
        daemon.page_when(lambda page: len(page.family("kafka_consumergroup_members")) == 2)
        yield daemon


def ask(daemon, method="GET", path="/metrics", **headers):
    """(status, headers, body) of a request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def samples(families):
    """{series: value} of what a parser of Prometheus' own client library read, without what changes by itself."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith(("process_", "tidemark_page_", "tidemark_poll_", "tidemark_source_last"))
    }


def test_both_formats_say_the_same(daemon):
    _, text_headers, text = ask(daemon)
    _, openmetrics_headers, openmetrics = ask(daemon, Accept=PROMETHEUS_ASKS)
    assert text_headers["Content-Type"] == TEXT and openmetrics_headers["Content-Type"] == OPENMETRICS
    theirs = samples(parse_openmetrics(openmetrics.decode()))
    assert theirs == samples(parse_text(text.decode()))
    assert any(name == "kafka_consumergroup_lost_messages_total" for name, _ in theirs)
    assert openmetrics.endswith(b"\n# EOF\n") and b"_created" not in openmetrics


def test_units_stand_in_names(daemon):
    """OpenMetrics wants a unit to end the name of its family; nothing else may have one."""
    _, _, page = ask(daemon, Accept="application/openmetrics-text")
    units = {family.name: family.unit for family in parse_openmetrics(page.decode())}
    for name, unit in units.items():
        ending = re.search("_(seconds|bytes|ratio)$", name)
        assert unit == (ending.group(1) if ending else ""), name
    assert units["process_cpu_seconds"] == "seconds" and units["process_resident_memory_bytes"] == "bytes"


@pytest.mark.parametrize("accept, kind", [(PROMETHEUS_ASKS, OPENMETRICS), ("*/*", TEXT)], ids=["OpenMetrics", "text"])
def test_a_compressed_page_is_one_gzip_member(daemon, accept, kind):
    status, headers, body = ask(daemon, Accept=accept, Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"], headers["Content-Type"]) == (200, "gzip", kind)
    member = zlib.decompressobj(31)
    page = member.decompress(body)
    assert member.eof and member.unused_data == b""
    families = (parse_openmetrics if kind == OPENMETRICS else parse_text)(page.decode())
    assert samples(families) == samples(parse_text(ask(daemon)[2].decode()))


def test_a_compressed_page_is_never_older_than_the_request(polling):
    """The page is made once for what is published: who asks after a poll sees that poll."""

    def seen(page):
        return float(re.search(rb"\ntidemark_source_last_success_timestamp_seconds\{.*\} (.*)\n", page).group(1))

    for _ in range(20):
        plain = seen(ask(polling)[2])
        assert seen(gzip.decompress(ask(polling, Accept_Encoding="gzip")[2])) >= plain


def test_many_scrapers_at_once_get_whole_pages(polling):
    """Twenty scrapers ask for compressed and plain pages while polls go on."""
    failures = []

    def scrape(number):
        for turn in range(10):
            compressed = (number + turn) % 2 == 0
            accept = PROMETHEUS_ASKS if number % 3 == 0 else "text/plain"
            body = ask(polling, Accept=accept, Accept_Encoding="gzip" if compressed else "identity")[2]
            page = (gzip.decompress(body) if compressed else body).decode()
            if 'kafka_consumergroup_lag_sum{cluster="default",consumergroup="billing",topic="orders"}' not in page:
                failures.append(page)
            if number % 3 == 0 and not page.endswith("# EOF\n"):
                failures.append(page)

    with ThreadPoolExecutor(20) as scrapers:
        list(scrapers.map(scrape, range(20)))  # which raises what one of them has
    assert failures == []


def test_head_gives_the_headers_of_get(daemon):
    for headers in [{}, {"Accept": PROMETHEUS_ASKS, "Accept_Encoding": "gzip"}]:
        status, told, body = ask(daemon, "HEAD", **headers)
        _, of_get, _ = ask(daemon, **headers)
        assert (status, body) == (200, b"")
        for name in ["Content-Type", "Content-Encoding", "Vary", "X-Content-Type-Options"]:
            assert told[name] == of_get[name], name


def test_a_reader_knows_when_a_plain_page_was_cut(daemon):
    """The whole page tells its length, what is filtered comes in chunks, of which the last is empty."""
    for accept in ["text/plain", PROMETHEUS_ASKS]:
        for _ in range(3):
            _, told, body = ask(daemon, Accept=accept)
            assert int(told["Content-Length"]) == len(body) > 1000
            _, told, body = ask(daemon, path="/metrics?group=billing", Accept=accept)
            assert told["Transfer-Encoding"] == "chunked" and "Content-Length" not in told
            assert len(body) > 1000


def test_nothing_but_the_header_answers_head(daemon):
    """What is sent beyond it would be taken for the next answer on the connection."""
    for query, encoding in [("", "identity"), ("?group=billing", "identity"), ("?group=billing", "gzip")]:
        request = f"HEAD /metrics{query} HTTP/1.1\r\nHost: t\r\nAccept-Encoding: {encoding}\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as connection:
            connection.sendall(request.encode())
            *answers, rest = b"".join(iter(lambda: connection.recv(4096), b"")).split(b"\r\n\r\n")
        assert rest == b"" and answers and all(answer.startswith(b"HTTP/1.1 200") for answer in answers), answers


def test_caches_are_told_what_the_answer_depends_on(daemon):
    headers = ask(daemon)[1]
    assert {name.strip() for name in headers["Vary"].split(",")} == {"Accept", "Accept-Encoding"}


@contextmanager
def without_openmetrics(port):
    """A proxy in front of the daemon that asks for the text format, as older Prometheus servers do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            request = urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", headers={"Accept": "text/plain;version=0.0.4"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                body, kind = answer.read(), answer.headers["Content-Type"]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stores_the_page(prometheus, job, page):
    scraped = prometheus.query(f'scrape_samples_scraped{{job="{job}"}}')
    assert [int(value) for _, value in scraped] == [len(page)]
    for name in ["kafka_consumergroup_lag", "kafka_consumergroup_lost_messages_total", "kafka_topic_partition_current_offset"]:
        stored = {
            frozenset((label, text) for label, text in labels.items() if label not in ("__name__", "job", "instance")): value
            for labels, value in prometheus.query(f'{name}{{job="{job}"}}')
        }
        assert stored == {labels: value for (series, labels), value in page.items() if series == name}, name
        assert stored
    return True


def test_prometheus_stores_what_the_page_says(daemon):
    """A real Prometheus scrapes both formats; PromQL reads the same values, exact, and as many as there are."""
    page = daemon.page()
    with without_openmetrics(daemon.port) as text_port, Prometheus(
        openmetrics=f"127.0.0.1:{daemon.port}", text=f"127.0.0.1:{text_port}"
    ) as prometheus:
        for job in ["openmetrics", "text"]:
            # A scrape that Prometheus missed leaves nothing to be read until the next one.
            processes.wait_until(lambda: stores_the_page(prometheus, job, page), what=f"the page of {job}")
        # OpenMetrics was what Prometheus chose: only there has it been told the unit.
        assert prometheus.query('{__name__=~".*_created"}') == []
