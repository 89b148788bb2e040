"""Against a real broker with real consumers: the page says what Kafka's own tool says."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

import kafka_wire
from daemon import Daemon
from kafka_traffic import commit, members, produce, transaction
from processes import PATIENCE_S

_numbers = itertools.count()


@pytest.fixture
def name():
    """A prefix for the topics and groups of one test."""
    return f"t{next(_numbers)}-"


def tool_says(kafka, prefix):
    """What `kafka-consumer-groups` says about this test's groups: (set of Position, set of Member)."""
    with ThreadPoolExecutor(2) as pool:
        positions, group_members = pool.submit(kafka.describe_groups), pool.submit(kafka.describe_members)
        return (
            {position for position in positions.result() if position.group.startswith(prefix)},
            {member for member in group_members.result() if member.group.startswith(prefix)},
        )


def assert_page_equals_tool(page, positions, group_members, prefix):
    expected = {
        (position.group, position.topic, str(position.partition)): (position.committed, position.end, position.lag)
        for position in positions
        if position.committed is not None
    }
    ends = page.by("kafka_topic_partition_current_offset", "topic", "partition")
    lags = page.by("kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    shown = {
        series: (committed, ends.get(series[1:]), lags.get(series))
        for series, committed in page.by("kafka_consumergroup_current_offset", "consumergroup", "topic", "partition").items()
        if series[0].startswith(prefix)
    }
    assert shown == expected
    never_committed = {(p.group, p.topic, str(p.partition)) for p in positions if p.committed is None}
    assert not never_committed & set(lags), "a partition that was never committed has no lag"
    counts = {group: 0 for (group,) in page.by("kafka_consumergroup_members", "consumergroup") if group.startswith(prefix)}
    assert counts, "no group on the page"
    for member in group_members:
        counts[member.group] += 1
    for group, count in counts.items():
        assert page.get_int("kafka_consumergroup_members", cluster="default", consumergroup=group) == count, group


def test_offsets_lag_and_members_equal_kafkas_own_tool(kafka, name):
    """Several groups on several topics: live ones, empty ones, some partitions never committed, one topic empty."""
    orders, clicks, empty = f"{name}orders", f"{name}clicks", f"{name}empty"
    kafka.create_topic(orders, 3)
    kafka.create_topic(clicks, 5)
    kafka.create_topic(empty, 2)
    produce(kafka, orders, {0: 100, 1: 7, 2: 1})
    produce(kafka, clicks, {partition: 10 * partition for partition in range(5)})
    commit(kafka, f"{name}left", orders, {0: 40, 2: 1})
    commit(kafka, f"{name}two-topics", orders, {0: 0, 1: 7, 2: 0})
    commit(kafka, f"{name}two-topics", clicks, {1: 10, 4: 39})
    commit(kafka, f"{name}at-zero", empty, {0: 0, 1: 0})
    with members(kafka, f"{name}two", [clicks], 2), members(kafka, f"{name}one", [orders, clicks], 1) as one:
        reader = one[0]
        for message in reader.consume(30, timeout=PATIENCE_S):
            reader.commit(message, asynchronous=False)
        positions, group_members = tool_says(kafka, name)
        assert len(positions) >= 10 and len(group_members) == 3
        with Daemon("--kafka", kafka.bootstrap) as daemon:
            daemon.page_when(lambda page: assert_page_equals_tool(page, positions, group_members, name) is None)


def test_the_page_follows_what_is_written_read_and_committed(kafka, name):
    """The daemon runs while a producer writes and a group commits."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    produce(kafka, topic, {0: 10, 1: 10})
    commit(kafka, group, topic, {0: 4})
    where = {"cluster": "default", "consumergroup": group, "topic": topic}
    with Daemon("--kafka", kafka.bootstrap) as daemon:

        def lags_are(first, second):
            lags = lambda page: [page.get_int("kafka_consumergroup_lag", **where, partition=p) for p in "01"]  # noqa: E731
            return lambda page: lags(page) == [first, second]

        page = daemon.page_when(lags_are(6, None))
        assert page.get_int("kafka_consumergroup_uncommitted_partitions", **where) == 1
        produce(kafka, topic, {0: 5, 1: 1})
        daemon.page_when(lags_are(11, None))
        commit(kafka, group, topic, {0: 15, 1: 1})
        page = daemon.page_when(lags_are(0, 10))
        assert page.get_int("kafka_consumergroup_lag_sum", **where) == 10
        assert page.get_int("kafka_consumergroup_lag_max", **where) == 10
        assert page.get_int("kafka_consumergroup_current_offset_sum", **where) == 16
        assert page.get_int("kafka_consumergroup_uncommitted_partitions", **where) == 0


def test_a_rebalance_and_a_death_leave_the_series_of_lag(kafka, name):
    """Members come and go while the committed offsets stay."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    produce(kafka, topic, {0: 10, 1: 10})
    commit(kafka, group, topic, {0: 4, 1: 5})

    def lag_and_members(page):
        where = {"cluster": "default", "consumergroup": group, "topic": topic}
        assert [page.get_int("kafka_consumergroup_lag", **where, partition=p) for p in "01"] == [6, 5]
        return page.get_int("kafka_consumergroup_members", cluster="default", consumergroup=group)

    def state(page):
        states = page.family("kafka_consumergroup_state")
        return [labels["state"] for labels, value in states if labels["consumergroup"] == group and value == "1"]

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        daemon.page_when(lambda page: lag_and_members(page) == 0 and state(page) == ["Empty"])
        with members(kafka, group, [topic], 1):
            daemon.page_when(lambda page: lag_and_members(page) == 1 and state(page) == ["Stable"])
        with members(kafka, group, [topic], 2):
            daemon.page_when(lambda page: lag_and_members(page) == 2 and state(page) == ["Stable"])
        daemon.page_when(lambda page: lag_and_members(page) == 0)


def test_transactions_count_up_to_the_high_watermark(kafka, name):
    """A transactional producer has one transaction committed and one open."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    with transaction(kafka, topic, {0: 5}, f"{name}first"):
        pass
    commit(kafka, group, topic, {0: 2})
    with transaction(kafka, topic, {0: 3}, f"{name}second"):
        # Five messages, their commit marker, three messages of which nobody knows yet how they end.
        positions, group_members = tool_says(kafka, name)
        assert {(position.end, position.lag) for position in positions} == {(9, 7)}
        with Daemon("--kafka", kafka.bootstrap) as daemon:
            daemon.page_when(lambda page: assert_page_equals_tool(page, positions, group_members, name) is None)


def test_lag_below_the_logs_start_counts_what_can_still_be_read(kafka, name):
    """Records up to offset 60 are deleted; a group stands at 20, another at 80."""
    topic = f"{name}orders"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 100})
    commit(kafka, f"{name}behind", topic, {0: 20})
    commit(kafka, f"{name}ahead", topic, {0: 80})
    kafka_wire.delete_records(kafka.bootstrap, topic.encode(), {0: 60})
    with Daemon("--kafka", kafka.bootstrap) as daemon:

        def of_topic(page, what):
            values = page.by(f"kafka_consumergroup_{what}", "consumergroup", "topic", "partition")
            return {group: value for (group, where, _), value in values.items() if where == topic}

        page = daemon.page_when(lambda page: len(of_topic(page, "lag")) == 2)
        assert of_topic(page, "lag") == {f"{name}behind": 40, f"{name}ahead": 20}
        assert of_topic(page, "current_offset") == {f"{name}behind": 20, f"{name}ahead": 80}
        assert page.get_int("kafka_topic_partition_oldest_offset", cluster="default", topic=topic, partition="0") == 60


def test_a_commit_beyond_the_end_is_no_healthy_zero(kafka, name):
    """One group's committed offset is beyond the end of one partition, the other partition is healthy."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    produce(kafka, topic, {0: 10, 1: 10})
    kafka_wire.commit(kafka.bootstrap, group.encode(), topic.encode(), {0: 500, 1: 4})
    where = {"cluster": "default", "consumergroup": group, "topic": topic}
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where, partition="1") == 6)
        assert page.get_int("kafka_consumergroup_current_offset", **where, partition="0") == 500
        assert page.get_text("kafka_consumergroup_lag", **where, partition="0") is None
        assert page.get_int("kafka_consumergroup_lag_sum", **where) == 6


def test_offsets_are_exact_up_to_the_largest(kafka, name):
    """Groups commit offsets that no double can hold."""
    topic = f"{name}orders"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 1})
    offsets = {f"{name}g{bits}-{less}": 2**bits - less for bits in (53, 62, 63) for less in (1, 3)}
    offsets[f"{name}odd"] = 2**53 + 1
    for group, offset in offsets.items():
        kafka_wire.commit(kafka.bootstrap, group.encode(), topic.encode(), {0: offset})
    with Daemon("--kafka", kafka.bootstrap) as daemon:

        def exact(page):
            committed = page.by("kafka_consumergroup_current_offset", "consumergroup", "topic", "partition")
            return all(committed.get((group, topic, "0")) == offset for group, offset in offsets.items())

        daemon.page_when(exact)


def test_a_sum_that_no_integer_holds_stands_at_the_largest(kafka, name):
    """Two partitions are committed at 2^63-1: their sum fits no int64."""
    topic, group = f"{name}orders", f"{name}huge"
    kafka.create_topic(topic, 2)
    kafka_wire.commit(kafka.bootstrap, group.encode(), topic.encode(), {0: 2**63 - 1, 1: 2**63 - 1})
    where = {"cluster": "default", "consumergroup": group, "topic": topic}
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        page = daemon.page_when(
            lambda page: page.get_int("kafka_consumergroup_current_offset", **where, partition="1") == 2**63 - 1
        )
        assert page.get_int("kafka_consumergroup_current_offset_sum", **where) == 2**63 - 1
