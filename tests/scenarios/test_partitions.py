"""Partitions are the unit of parallelism: a member too many idles, and a hot key makes one partition slow."""


def test_partitions(source):
    """Four members share three partitions, one of which gets most of the messages. Then three faster ones
    do."""
    source.topic(partitions=3)
    with source.watch("objective=30s", "skewed_after=3s") as watch:
        with source.traffic({0: 8, 1: 1, 2: 1}):
            members = [source.reader(pause_ms=20) for _ in range(4)]
            page = watch.page_when(
                lambda page: "idle_members" in watch.conditions(page) and watch.value(page, "idle_members") is not None
            )
            [(topic, partition, _)] = watch.conditions(page)["idle_members"]
            assert (topic, partition) == ("", "")
            assert watch.value(page, "members") == 4
            assert watch.value(page, "idle_members") == 1

            page = watch.when("skewed")
            conditions = watch.conditions(page)
            assert set(conditions) == {"idle_members", "skewed"}
            [(topic, partition, since)] = conditions["skewed"]
            assert (topic, partition) == (source.name, "0")
            assert since <= watch.polled(page) - 3
            assert watch.value(page, "lag_max") == watch.value(page, "lag", 0) > 0.6 * watch.value(page, "lag_sum")

            def siblings_are_current(page):
                ages = [watch.value(page, "lag_seconds", sibling) for sibling in (1, 2)]
                # The age of a record that a poll had no time to look up is left out.
                return None not in ages and max(ages) < 3

            watch.page_when(siblings_are_current)

        for member in members:
            member.leave()
        for _ in range(3):
            source.reader()
        watch.page_when(lambda page: watch.value(page, "members") == 3)
        watch.when_not("idle_members", "skewed")
