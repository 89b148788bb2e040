"""Slow processing, so the coordinator throws the member out, so there is a rebalance, so nothing is read, so
there is more lag."""

import time

import processes


def test_death_spiral(source):
    """Two members promise to poll every second and then work for longer, now and then. Later two members come
    that keep their promises."""
    source.topic(partitions=2)
    rules = ("objective=5s", "spiral_after=6s", "rebalance_window=1m")
    with source.traffic({0: 1, 1: 1}), source.watch(*rules) as watch:
        begun = time.time()
        promise = {"session_ms": 1000, "max_poll_ms": 1000}
        members = [source.reader(pause_ms=20, stall_every=10, stall_ms=1500, **promise) for _ in range(2)]
        page = watch.when("death_spiral")
        conditions = watch.conditions(page)
        assert set(conditions) <= {"death_spiral", "falling_behind"}
        [(topic, partition, since)] = conditions["death_spiral"]
        assert (topic, partition) == ("", "")
        assert begun <= since <= watch.polled(page) - 6
        assert watch.value(page, "rebalances_total") >= 4
        assert watch.value(page, "lag_seconds_max") >= 2

        for member in members:
            member.leave()
        for _ in range(2):
            source.reader()
        watch.when_not("death_spiral", "falling_behind")
        watch.page_when(lambda page: watch.value(page, "members") == 2 and watch.is_within(page, "lag_seconds_max", most=1))

        def rebalances_at_rest():
            before = watch.value(watch.page(), "rebalances_total")
            time.sleep(2)
            return before if watch.value(watch.page(), "rebalances_total") == before else None

        # Those that keep their promises are left in peace; what there was is still counted.
        rebalances = processes.wait_until(rebalances_at_rest, what="the end of the rebalances")
        # Every one is counted, but for the first, with which the group came to be.
        assert source.generation() - 2 <= rebalances <= source.generation()
