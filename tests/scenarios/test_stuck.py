"""A consumer crashes in the middle of a batch; its offset never advances, and the same batch comes back for ever."""

import time


def test_stuck(source):
    """Of two members, one fails on message 30 of partition 0, again and again. Then somebody mends it."""
    source.topic(partitions=2)
    with source.traffic({0: 1, 1: 1}), source.watch("stuck_after=4s", "objective=1h") as watch:
        members = [source.reader(choke_at=30), source.reader(choke_at=30)]
        page = watch.when("stuck")
        conditions = watch.conditions(page)
        assert set(conditions) == {"stuck"}
        [(topic, partition, since)] = conditions["stuck"]
        assert (topic, partition) == (source.name, "0")
        # It has been stuck since message 30, or the first after it, was there to be read.
        assert source.written[source.name][0][30] - 1 <= since <= source.written[source.name][0][30] + 5
        assert 4 <= time.time() - since

        assert watch.value(page, "current_offset", 0) == 30
        assert watch.value(page, "lag", 0) == watch.on_partition(page, "current_offset", 0) - 30
        # The age of the first message that wasn't read.
        age = watch.time(page) - source.written[source.name][0][30]
        assert age - 2 <= watch.value(page, "lag_seconds", 0) <= age + 0.1
        # The other partition is read; on a busy machine not at once.
        watch.page_when(lambda page: watch.is_within(page, "lag", most=5, partition=1))

        for member in members:
            member.leave()
        source.reader()
        watch.when_not("stuck")
    with source.watch() as watch:
        page = watch.when_read()
        assert watch.conditions(page) == {}
        assert watch.value(page, "lag_seconds_max") == 0
        assert watch.value(page, "lost_messages_total") == 0
