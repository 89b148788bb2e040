"""A topic was made again, and the bookmarks of the old one were put back: the group waits for offsets that don't
exist yet, looks as if it had read all, and will jump."""

import time

CLEAR_AFTER_S = 4
ANOMALIES = "tidemark_anomalies_total"


def test_committed_beyond_end(source):
    """The group's bookmark on partition 0 stands 500 messages beyond the end. Then somebody sets it right."""
    source.topic(partitions=2)
    source.produce({0: 20, 1: 20})
    source.set_offsets({0: 5, 1: 15})
    with source.watch(f"clear_after={CLEAR_AFTER_S}s") as watch:
        page = watch.page_when(lambda page: watch.value(page, "lag_sum") == 20)
        assert "committed_beyond_end" not in watch.conditions(page)
        before = time.time()
        source.set_offsets({0: 520})
        page = watch.when("committed_beyond_end")
        [(topic, partition, since)] = watch.conditions(page)["committed_beyond_end"]
        assert (topic, partition) == (source.name, "0")
        assert before - 0.1 <= since <= watch.time(page)
        # The bookmark is shown as it is; there is no lag, least of all a healthy 0, and sums leave it out.
        assert watch.value(page, "current_offset", 0) == 520
        assert watch.value(page, "lag", 0) is None
        assert watch.value(page, "lag_seconds", 0) is None
        assert watch.value(page, "lag_sum") == 5

        watch.wait_for_polls(5)
        anomalies = {labels["kind"]: float(value) for labels, value in watch.page().family(ANOMALIES)}
        assert anomalies["committed_beyond_end"] == 1  # once an occurrence, not once a poll

        source.set_offsets({0: 8})
        page = watch.when_not("committed_beyond_end")
        assert watch.time(page) >= since + CLEAR_AFTER_S
        assert watch.value(page, "lag", 0) == 12
        assert watch.value(page, "lag_sum") == 17
        assert watch.value(page, "lost_messages_total") == 0
