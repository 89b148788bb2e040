"""A consumer crashes in the middle of a batch; its offset never advances, and the same batch comes back for ever."""

def test_stuck(source):
    """Of two members, one fails on message 30 of partition 0, again and again. Then somebody mends it."""
    source.topic(partitions=2)
    with source.watch("stuck_after=4s", "objective=1h") as watch:
        with source.traffic({0: 1, 1: 1}):
            members = [source.reader(choke_at=30), source.reader(choke_at=30)]

            def is_stuck(page):
                """On a busy machine others, or it at others, may have stood still for as long before."""
                places = [partition for _, partition, _ in watch.conditions(page).get("stuck", [])]
                is_there = places == ["0"] and watch.value(page, "current_offset", 0) == 30
                return is_there and watch.value(page, "lag_seconds", 0) is not None

            page = watch.page_when(is_stuck)
        conditions = watch.conditions(page)
        assert set(conditions) == {"stuck"}
        [(topic, partition, since)] = conditions["stuck"]
        assert (topic, partition) == (source.name, "0")
        # It has been stuck since message 30, or the first after it, was there to be read.
        assert source.written[source.name][0][30] <= watch.first_unread(30) <= since <= watch.polled(page) - 4

        assert watch.value(page, "lag", 0) == watch.on_partition(page, "current_offset", 0) - 30
        # The age of the first message that wasn't read.
        age = watch.polled(page) - source.written[source.name][0][30]
        assert abs(watch.value(page, "lag_seconds", 0) - age) < 0.01
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
