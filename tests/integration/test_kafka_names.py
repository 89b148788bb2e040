"""Names are whatever somebody could make Kafka accept."""

import kafka_wire
import pytest
from daemon import Daemon
from kafka_traffic import produce

GROUPS = {
    "quotes": b'say "hello"',
    "backslashes": b"C:\\new\\table\\",
    "newline": b"first\nsecond\r\nthird",
    "braces": b'a",topic="b"} 5\n# TYPE x',
    "utf-8": "grüße-日本語-🚀".encode(),
    "spaces": b"  two  and a tab\t ",
    "controls": bytes(range(1, 32)) + b"\x7f",
    "separators": "a\u2028b\u0085c\x0bd".encode(),
    "html": b"<script>alert(1)</script>&amp;",
    "format": b"%s%n%d",
    "long": b"g" * 32_000,
}


@pytest.fixture(scope="module")
def topic(kafka):
    kafka.create_topic("names", 1)
    produce(kafka, "names", {0: 10})
    return "names"


@pytest.fixture(scope="module")
def daemon(kafka, topic):
    """One daemon for all of them: a name may not disturb the others either."""
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        yield daemon


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_a_groups_name_comes_back_as_it_was_given(kafka, topic, daemon, group):
    """A group has a name that has to be escaped somewhere."""
    kafka_wire.commit(kafka.bootstrap, group, topic.encode(), {0: 3})
    where = {"cluster": "default", "consumergroup": group.decode(), "topic": topic, "partition": "0"}
    page = daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where) == 7)
    assert page.get_int("kafka_consumergroup_current_offset", **where) == 3
    daemon.get("/")


def test_bytes_that_are_no_utf8_leave_the_page_valid(kafka, topic, daemon):
    """Groups' names hold invalid UTF-8, which the broker may have replaced."""
    names = [b"\xff\xfe", b"half \xc3", b"\xed\xa0\x80 surrogate", b"\xf5\x80\x80\x80", b"overlong \xc0\xaf"]
    for offset, group in enumerate(names):
        kafka_wire.commit(kafka.bootstrap, group, topic.encode(), {0: offset})
    kafka_wire.commit(kafka.bootstrap, b"beside them", topic.encode(), {0: 9})
    where = {"cluster": "default", "consumergroup": "beside them", "topic": topic, "partition": "0"}
    page = daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where) == 1)
    replaced = [labels["consumergroup"] for labels, _ in page.family("kafka_consumergroup_members")]
    assert any("\ufffd" in group for group in replaced)


def test_names_that_differ_after_a_nul_never_make_a_series_twice(kafka, topic, daemon):
    """Three groups' names are equal up to a NUL, where C's strings end; the fourth ends there."""
    for offset, group in enumerate([b"nul\0a", b"nul\0b", b"nul\0", b"nul"]):
        kafka_wire.commit(kafka.bootstrap, group, topic.encode(), {0: offset})
    kafka_wire.commit(kafka.bootstrap, b"after nul", topic.encode(), {0: 9})
    where = {"cluster": "default", "consumergroup": "after nul", "topic": topic, "partition": "0"}
    # That no series stands there twice, the parser of the page asserts.
    daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where) == 1)
    page = daemon.page()
    for labels, value in page.family("kafka_consumergroup_current_offset"):
        if labels["consumergroup"] == "nul":
            assert value == "3", "the offset of another group stands under this group's name"


def test_a_topics_name_of_249_bytes(kafka, daemon):
    """The longest topic name that Kafka allows, of every character that it allows."""
    topic = ("abcXYZ.09_-" * 23)[:249]
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 4})
    kafka_wire.commit(kafka.bootstrap, b"long topic", topic.encode(), {0: 1})
    where = {"cluster": "default", "consumergroup": "long topic", "topic": topic, "partition": "0"}
    daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where) == 3)
