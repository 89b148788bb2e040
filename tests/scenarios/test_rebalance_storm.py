"""Members come and go all the time, while the group keeps up: nothing is late yet, and nobody knows why."""

import time

from processes import PATIENCE_S


def when_rebalanced(watch, before, members):
    """The first page after this one on which the group has so many members and is done with having them. A group
    whose members leave before that never comes to read: that would be another story."""
    counted = watch.value(before, "rebalances_total")
    return watch.page_when(
        lambda page: watch.value(page, "members") == members and watch.is_within(page, "rebalances_total", least=counted + 1)
    )


def test_rebalance_storm(source):
    """One member reads all the time, and another joins and leaves again and again. Then it stays away."""
    source.topic(partitions=2)
    rules = ("spiral_after=4s", "rebalance_window=20s")
    with source.traffic({0: 1, 1: 1}), source.watch(*rules) as watch:
        begun = time.time()
        source.reader()
        page = watch.when_moved()
        while "rebalance_storm" not in watch.conditions(page):
            assert time.time() < begun + PATIENCE_S
            guest = source.reader()
            page = when_rebalanced(watch, page, members=2)
            guest.leave()
            page = when_rebalanced(watch, page, members=1)
        conditions = watch.conditions(page)
        assert set(conditions) == {"rebalance_storm"}
        [(topic, partition, since)] = conditions["rebalance_storm"]
        assert (topic, partition) == ("", "")
        assert begun <= since <= watch.polled(page) - 4
        counted = watch.value(page, "rebalances_total")
        assert counted >= 4
        page = watch.page_when(lambda page: watch.value(page, "lag_seconds_max") is not None)
        assert watch.value(page, "lag_seconds_max") < watch.value(page, "objective_seconds")

        page = watch.when_not("rebalance_storm")
        assert watch.conditions(page) == {}
        # What there was is still counted.
        assert watch.value(page, "rebalances_total") >= counted
    with source.watch() as watch:
        watch.when_read()
