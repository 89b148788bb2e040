"""A topic keeps a day of messages, here twenty seconds, and its consumer is gone over the weekend."""

import time

RETENTION_S = 20


def test_retention(source):
    """The group stops; first its messages are at risk, then they are gone, and then it comes back."""
    source.topic(retention_ms=RETENTION_S * 1000, segment_ms=1000)
    rules = ("objective=3s", "horizon_share=0.9", "stopped_after=2s", "clear_after=4s")
    with source.watch(*rules) as watch:
        with source.traffic({0: 2}):
            reader = source.reader()
            watch.when_known()
            reader.leave()
            left = time.time()

            page = watch.when("stopped")
            [(topic, partition, since)] = watch.conditions(page)["stopped"]
            assert (topic, partition) == ("", "")
            committed = int(watch.value(page, "current_offset", 0))
            assert watch.first_unread(committed) <= since <= watch.polled(page) - 2

            page = watch.when("retention_risk")
            conditions = watch.conditions(page)
            assert set(conditions) == {"retention_risk", "stopped"}
            assert [(topic, partition) for topic, partition, _ in conditions["retention_risk"]] == [(source.name, "0")]
            # There is time left, and nothing is lost yet.
            headroom = watch.value(page, "retention_headroom_seconds")
            assert abs(headroom - (RETENTION_S - watch.value(page, "lag_seconds_max"))) < 0.1
            assert 0 < headroom <= 0.9 * RETENTION_S
            assert headroom - 1 <= watch.value(page, "retention_overtake_seconds")
            assert watch.value(page, "lost_messages_total") == 0

            page = watch.when("data_lost")
            assert watch.value(page, "current_offset", 0) == committed
            start = watch.on_partition(page, "oldest_offset")
            [(topic, partition, since)] = watch.conditions(page)["data_lost"]
            assert (topic, partition) == (source.name, "0")
            assert left + headroom / 2 <= since <= watch.time(page)
            assert start > committed == len(reader.done())
            assert watch.value(page, "lost_messages_total") == start - committed
            # Lag is what can still be read.
            assert watch.value(page, "lag_sum") == watch.on_partition(page, "current_offset") - start

            # Somebody keeps messages for longer: whatever the group still has to read now stays until it does.
            source.alter(retention_ms=3600 * 1000, segment_ms=1000)
            watch.page_when(lambda page: watch.is_within(page, "lag_seconds_max", least=RETENTION_S + 5))
        back = source.reader()
        watch.when_not("stopped", "retention_risk", "data_lost")
        page = watch.page_when(lambda page: watch.is_within(page, "lag_seconds_max", most=3))
        first_read = back.done()[0][1]
        assert watch.value(page, "lost_messages_total") == first_read - committed
