"""A compacted topic keeps the latest message of each key: whoever is late never sees the states between."""

import processes


def test_compaction(source):
    """Ten users change again and again. The group stops for a while; the cleaner doesn't wait for it."""
    source.topic(cleanup_policy="compact", segment_ms=1000)
    with source.watch("objective=3s", "stopped_after=1h") as watch:
        with source.traffic({0: 2}, key=lambda number: f"user-{number % 10}"):
            reader = source.reader()
            watch.when_known()
            reader.leave()
            page = watch.when("compaction_risk")
            conditions = watch.conditions(page)
            assert "compaction_risk" in conditions
            assert [(topic, partition) for topic, partition, _ in conditions["compaction_risk"]] == [(source.name, "0")]
            assert watch.value(page, "compaction_exposed_messages") == watch.value(page, "lag_sum") > 0
            page = watch.page_when(lambda page: watch.is_within(page, "compaction_exposed_messages", least=100))
        page = watch.page_when(lambda page: watch.on_partition(page, "current_offset") == source.end())
        missed = source.end() - int(watch.value(page, "current_offset", 0))

        def cleaned():
            source.clean()
            return source.count() < source.end()

        processes.wait_until(cleaned, what="the cleaner", pause=0.5)
        back = source.reader()
        page = watch.page_when(lambda page: watch.value(page, "lag_sum") == 0)
        watch.when_not("compaction_risk")
        assert watch.value(page, "compaction_exposed_messages") == 0
        # What was said to be exposed is indeed gone, in part; nobody else says so.
        assert 10 <= len(back.done()) < missed
