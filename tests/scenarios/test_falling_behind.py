"""Consumers run, only slowly: nothing crashes, and what they handle as if it were live is getting older."""

import time


def test_falling_behind(source):
    """Forty messages a second are written and at most twenty are read, until a faster reader takes over."""
    source.topic()
    with source.watch("objective=4s") as watch:
        begun = time.time()
        with source.traffic({0: 4}):
            slow = source.reader(pause_ms=50)

            def is_late_for_good(page):
                """It will never have caught up, and so there is no forecast of it."""
                late = "falling_behind" in watch.conditions(page) and watch.is_within(page, "lag_seconds_max", least=4)
                return late and watch.value(page, "catchup_seconds") is None

            page = watch.page_when(is_late_for_good)
        conditions = watch.conditions(page)
        assert set(conditions) == {"falling_behind"}
        [(topic, partition, since)] = conditions["falling_behind"]
        assert (topic, partition) == (source.name, "")
        assert begun <= since <= watch.time(page)

        # The time lag is the age of the first message that wasn't read, not a guess from speeds.
        committed = int(watch.value(page, "current_offset", 0))
        age = watch.polled(page) - source.written[source.name][0][committed]
        assert abs(watch.value(page, "lag_seconds_max") - age) < 0.01
        assert watch.value(page, "lag_sum") == watch.on_partition(page, "current_offset") - committed
        assert watch.value(page, "slo_good_seconds_total") < watch.value(page, "slo_seconds_total")

        slow.leave()
        source.reader()
        watch.when_not("falling_behind")
    with source.watch("objective=4s") as watch:
        assert watch.value(watch.when_read(), "lag_seconds_max") == 0
