#include "exporter/history.h"

#include "exporter/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROUND = 50 };

/* A poll of a group that reads topics number `first` up to but not including `end`, each of them once skipped
 * over, and of a group a topic. */
static void poll(struct history *history, int minute, int first, int end)
{
    struct snapshot *s = snapshot_new();
    uint32_t reader = (uint32_t)snapshot_add_group(s, STR_LITERAL("reader"));
    for (int i = first; i < end; i++) {
        char name[32];
        assert_in_range(snprintf(name, sizeof name, "topic-%05d", i), 1, sizeof name - 1);
        uint32_t topic = (uint32_t)snapshot_add_topic(s, str_of(name), 1);
        uint32_t group = (uint32_t)snapshot_add_group(s, str_of(name));
        struct snap_partition *partition = &s->partitions[s->topics[topic].first_partition];
        partition->start = 0;
        partition->end = 1000;
        assert_non_null(snapshot_add_position(s, reader, topic, 0, minute % 2 == 0 ? 900 : 100));
        assert_non_null(snapshot_add_position(s, group, topic, 0, 100));
    }
    snapshot_seal(s, INT64_C(1764000000000) + minute * 60000);
    history_observe(history, s);
    snapshot_free(&s);
}

static const struct group_memory *reader_of(const struct history *history)
{
    for (uint32_t i = 0; i < history->group_count; i++)
        if (str_equal(str_of(history->groups[i].name), STR_LITERAL("reader")))
            return &history->groups[i];
    fail_msg("the group is not remembered");
    return NULL;
}

/* Topics come and go without end, and something happens to each: what is remembered of them has a bound, and
 * what is remembered of a group is about its own topics. */
static void test_what_comes_and_goes_is_forgotten(void **state)
{
    (void)state;
    struct history *history = history_new();
    for (int round = 0; round < 60; round++) {
        poll(history, 2 * round, round * ROUND, (round + 1) * ROUND);
        poll(history, 2 * round + 1, round * ROUND, (round + 1) * ROUND);
        assert_in_range(history->topic_count, ROUND, 5 * ROUND);
        assert_in_range(history->group_count, ROUND + 1, 5 * ROUND);
        const struct group_memory *reader = reader_of(history);
        assert_in_range(reader->subscription_count, ROUND, 5 * ROUND);
        for (uint32_t i = 0; i < reader->events.count; i++)
            assert_in_range(reader->events.events[i].subscription, 0, reader->subscription_count - 1);
        assert_true(reader->events.count > 0);
    }
    history_free(&history);
}

/* The source tells of no topic for a moment, and then of all of them again: nothing was forgotten. */
static void test_what_vanishes_at_once_is_kept(void **state)
{
    (void)state;
    struct history *history = history_new();
    for (int minute = 0; minute < 4; minute++)
        poll(history, minute, 0, 10 * ROUND);
    poll(history, 4, 0, 0);
    poll(history, 5, 0, 0);
    assert_int_equal(history->topic_count, 10 * ROUND);
    assert_int_equal(reader_of(history)->subscription_count, 10 * ROUND);
    assert_int_equal(history->group_count, 10 * ROUND + 1);
    history_free(&history);
}

static int64_t rewound_of(const struct group_memory *group)
{
    int64_t rewound = 0;
    for (uint32_t i = 0; i < group->subscription_count; i++)
        rewound += group->subscriptions[i].rewound;
    return rewound;
}

/* Polls tell of a part only, one of this and the next of that: no counter is forgotten. */
static void test_what_incomplete_polls_leave_out_is_kept(void **state)
{
    (void)state;
    struct history *history = history_new();
    for (int minute = 0; minute < 4; minute++)
        poll(history, minute, 0, 6 * ROUND);
    int64_t rewound = rewound_of(reader_of(history));
    assert_true(rewound > 0);
    for (int minute = 4; minute < 10; minute++)
        poll(history, minute, minute % 3 * 2 * ROUND, (minute % 3 + 1) * 2 * ROUND);
    poll(history, 10, 6 * ROUND - 1, 6 * ROUND);
    poll(history, 11, 0, 1);
    poll(history, 12, 0, 0);
    assert_int_equal(history->topic_count, 6 * ROUND);
    assert_int_equal(history->group_count, 6 * ROUND + 1);
    assert_int_equal(reader_of(history)->subscription_count, 6 * ROUND);
    assert_true(rewound_of(reader_of(history)) >= rewound);
    history_free(&history);
}

/* For longer than anything is kept a group's commits can't be told: that makes none of them forgotten. */
static void test_what_is_unknown_is_kept(void **state)
{
    (void)state;
    struct history *history = history_new();
    for (int minute = 0; minute < 4; minute++)
        poll(history, minute, 0, 3 * ROUND);
    int64_t rewound = rewound_of(reader_of(history));
    for (int hour = 1; hour < 30; hour++) {
        struct snapshot *s = snapshot_new();
        int64_t group = snapshot_add_group(s, STR_LITERAL("reader"));
        s->groups[group].commits_unknown = true;
        snapshot_seal(s, INT64_C(1764000000000) + INT64_C(3600000) * hour);
        history_observe(history, s);
        snapshot_free(&s);
    }
    assert_int_equal(reader_of(history)->subscription_count, 3 * ROUND);
    assert_int_equal(rewound_of(reader_of(history)), rewound);
    poll(history, 30 * 60, 0, 1); /* is looked at before the next one is taken in */
    poll(history, 30 * 60 + 1, 0, 1);
    assert_int_equal(reader_of(history)->subscription_count, 1);
    history_free(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_and_goes_is_forgotten),
        cmocka_unit_test(test_what_vanishes_at_once_is_kept),
        cmocka_unit_test(test_what_incomplete_polls_leave_out_is_kept),
        cmocka_unit_test(test_what_is_unknown_is_kept),
    };
    return cmocka_run_group_tests_name("forget", tests, NULL, NULL);
}
