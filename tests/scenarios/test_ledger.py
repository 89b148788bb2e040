"""Where in the pipeline can a message be lost? What was jumped over, what was never committed, and what will be
forgotten are on the books."""

import time

WEEK_S = 7 * 24 * 3600


def test_ledger(source):
    """The group stops; somebody sets its bookmark on partition 0 to the end, and it goes on. On partition 2 it
    has never committed."""
    source.topic(partitions=3)
    source.set_offsets({0: 0, 1: 0})
    with source.traffic({0: 2, 1: 2}), source.watch("clear_after=5s", "horizon=3650d", "horizon_share=1") as watch:
        page = watch.page_when(lambda page: watch.value(page, "lag_sum"))
        assert watch.value(page, "uncommitted_partitions") == 1
        reader = source.reader()
        page = watch.page_when(lambda page: watch.is_within(page, "current_offset_sum", least=20))
        asked = time.time()
        reader.leave()
        left = time.time()
        page = watch.page_when(lambda page: watch.value(page, "members") == 0 and watch.is_within(page, "lag", least=60, partition=0))
        committed = int(watch.value(page, "current_offset", 0))

        to = watch.on_partition(page, "current_offset")
        source.set_offsets({0: to})
        # Of a group without members even the bookmark is forgotten, after a week.
        page = watch.when("skipped", "offsets_expiring")
        conditions = watch.conditions(page)
        [(topic, partition, since)] = conditions["skipped"]
        assert (topic, partition) == (source.name, "0")
        assert left <= since <= watch.time(page)
        assert watch.value(page, "skipped_messages_total") == to - committed
        assert watch.value(page, "lost_messages_total") == 0
        assert asked - 0.1 <= watch.value(page, "offsets_expire_timestamp_seconds") - WEEK_S <= left + 0.1

        source.reader()
        page = watch.when_not("skipped", "offsets_expiring")
        assert watch.time(page) - since >= 5
        assert watch.value(page, "skipped_messages_total") == to - committed
        assert watch.value(page, "offsets_expire_timestamp_seconds") is None
    with source.watch() as watch:
        watch.when_read()
