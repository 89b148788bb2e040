"""Messages don't disappear: a group is sent back to the beginning on purpose, which is no alarm."""

MESSAGES = 400
PAUSE_S = 0.04


def test_replay(source):
    """The group has read seven minutes' worth of messages, is set back to the first, and reads them again."""
    source.topic()
    for seconds in range(0, MESSAGES, 10):
        source.produce({0: 10}, age_s=600 - seconds)
    with source.watch("objective=6s") as watch:
        reader = source.reader()
        watch.when_read()
        reader.leave()
        watch.page_when(lambda page: watch.value(page, "members") == 0)
        source.set_offsets({0: 0})
        page = watch.page_when(lambda page: watch.value(page, "rewound_messages_total") and watch.value(page, "lag_sum"))
        assert watch.value(page, "rewound_messages_total") == MESSAGES
        assert watch.value(page, "lag_sum") == MESSAGES
        begun = watch.polled(page)
        reader = source.reader(pause_ms=int(PAUSE_S * 1000))

        page = watch.page_when(lambda page: watch.value(page, "catchup_seconds") and watch.is_within(page, "lag_sum", most=MESSAGES - 50))
        conditions = watch.conditions(page)
        assert set(conditions) == {"replaying"}
        [(topic, partition, since)] = conditions["replaying"]
        assert (topic, partition) == (source.name, "")
        assert since <= watch.time(page)
        # When it will be done: by its speed so far, which the time before its first message belongs to.
        left = watch.value(page, "lag_sum")
        a_message_s = (watch.polled(page) - begun) / (MESSAGES - left)
        assert left * PAUSE_S / 2 <= watch.value(page, "catchup_seconds") <= 5 * left * a_message_s + 5

        said = set(conditions)

        def done(page):
            said.update(watch.conditions(page))
            return watch.value(page, "lag_sum") == 0 and "replaying" not in watch.conditions(page)

        page = watch.page_when(done)
        assert said == {"replaying"}
        assert watch.value(page, "rewound_messages_total") == MESSAGES
        assert watch.value(page, "skipped_messages_total") == watch.value(page, "lost_messages_total") == 0
        reader.leave()
        assert len(reader.done()) == MESSAGES
