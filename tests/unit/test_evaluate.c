#include "tests/lib/group_world.h"

/* A reader keeps up: nothing is said, and nothing is unread. */
static void test_healthy(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    assert_int_equal(w->findings->groups[0].conditions, 0);
    assert_int_equal(w->findings->wheres == NULL ? 0 : w->findings->where_count, 0);
    assert_string_equal(group_verdict(&w->findings->groups[0]), "ok");
    assert_int_equal(w->findings->subscriptions[0].lag_sum, 0);
    assert_int_equal(w->findings->subscriptions[0].lag_ms_max, 0);
    assert_int_equal(w->findings->groups[0].slo_ms, 1185000);
    assert_int_equal(w->findings->groups[0].slo_good_ms, 1185000);
}

/* Nothing is written and nothing unread: the group is idle. */
static void test_idle(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 60; i++, w->now += 15000)
        poll(w);
    assert_string_equal(group_verdict(&w->findings->groups[0]), "idle");
}

/* A reader that works every quarter of an hour is seen from the middle of a cycle on, which is one short wait
 * and then long ones: it is the long ones that are usual. */
static void test_a_cycle_that_was_seen_in_part(void **state)
{
    struct world *w = *state;
    pass(w, 90, 0);
    for (int cycle = 0; cycle < 3; cycle++) {
        pass(w, 15, 10000);
        for (int i = 0; i < (cycle == 0 ? 52 : 60); i++) {
            pass(w, 15, 0);
            assert_false(is(w, CONDITION_STUCK));
        }
    }
    pass(w, 900, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* All members leave while messages arrive: stopped, but not before the group has been gone for as long as the
 * rule says, and no longer once they are back. */
static void test_stopped(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    int64_t left = w->now;
    w->members = 0;
    pass(w, 150, 0);
    assert_false(is(w, CONDITION_STOPPED));
    pass(w, 60, 0);
    assert_true(is(w, CONDITION_STOPPED));
    assert_false(is(w, CONDITION_STUCK));
    assert_int_equal(w->findings->wheres[0].since, left + 15000);
    assert_int_equal(w->findings->wheres[0].position, NO_INDEX);
    w->members = 2;
    pass(w, 60, 40);
    assert_false(is(w, CONDITION_STOPPED));
}

/* One partition stands still while its siblings are read: the finding names that partition. */
static void test_stuck_names_the_partition(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    int64_t stands = w->committed[1];
    for (int i = 0; i < 16; i++) {
        pass(w, 15, 10);
        w->committed[1] = stands;
    }
    assert_true(is(w, CONDITION_STUCK));
    assert_int_equal(w->findings->where_count, 1);
    assert_int_equal(w->findings->wheres[0].position, 1);
    assert_int_equal(w->findings->wheres[0].subscription, 0);
}

/* A group is stuck; in one poll its commits can't be read, in another the ends: it isn't said to be well, and
 * is found stuck at once when they are known again. */
static void test_what_is_unknown_for_a_poll(void **state)
{
    struct world *w = *state;
    pass(w, 3600, 10);
    pass(w, 1800, 0);
    assert_true(is(w, CONDITION_STUCK));
    w->commits_unknown = true;
    pass(w, 15, 0);
    assert_true(w->findings->groups[0].unknown);
    assert_string_equal(group_verdict(&w->findings->groups[0]), "unknown");
    w->commits_unknown = false;
    w->ends_unknown = true;
    pass(w, 15, 0);
    w->ends_unknown = false;
    pass(w, 15, 0);
    assert_false(w->findings->groups[0].unknown);
    assert_true(is(w, CONDITION_STUCK));
}

/* The source is away for two hours: they count neither for nor against the objective. */
static void test_objective_leaves_out_an_outage(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    int64_t before = w->findings->groups[0].slo_ms;
    assert_true(before > 0);
    w->now += INT64_C(2) * 3600 * 1000;
    pass(w, 15, 10);
    assert_int_equal(w->findings->groups[0].slo_ms, before);
    pass(w, 15, 10);
    assert_int_equal(w->findings->groups[0].slo_ms, before + 15000);
}

/* A commit on a topic that doesn't exist stays for polls, goes, and comes back: two occurrences. */
static void test_an_anomaly_counts_once_an_occurrence(void **state)
{
    struct world *w = *state;
    static const bool there[] = {true, true, true, false, true, true};
    static const int64_t counted[] = {1, 1, 1, 1, 2, 2};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        w->orphan = there[i];
        pass(w, 15, 10);
        assert_int_equal(w->findings->anomalies[ANOMALY_ORPHAN_COMMIT], counted[i]);
    }
}

/* A reader commits every ten minutes only: that is its way, from the first cycle on. Twice its cycle without
 * a commit is not. */
static void test_batches_are_not_stuck(void **state)
{
    struct world *w = *state;
    for (int cycle = 0; cycle < 6; cycle++) {
        for (int i = 0; i < 40; i++) {
            pass(w, 15, 0);
            assert_int_equal(w->findings->groups[0].conditions, 0);
        }
        for (int p = 0; p < PARTITIONS; p++)
            w->committed[p] = w->end[p];
    }
    pass(w, 1260, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* A batch takes twenty-five minutes, as the members have declared that it may: half an hour. From the first
 * one on nothing is said, and also where polls now and then don't tell what they declared. Then it hangs. */
static void test_a_batch_may_take_long(void **state)
{
    struct world *w = *state;
    for (int batch = 0; batch < 3; batch++) {
        for (int i = 0; i < 100; i++) {
            w->may_take_ms = i % 2 == 0 ? 1800000 : UNKNOWN;
            pass(w, 15, 0);
            assert_int_equal(w->findings->groups[0].conditions, 0);
        }
        for (int p = 0; p < PARTITIONS; p++)
            w->committed[p] = w->end[p];
    }
    pass(w, 1800, 0);
    assert_false(is(w, CONDITION_STUCK));
    pass(w, 900, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* The same where they declared that it may take for ever: an hour is the most that is granted. */
static void test_a_batch_may_not_take_for_ever(void **state)
{
    struct world *w = *state;
    w->may_take_ms = INT32_MAX;
    pass(w, 3660, 0);
    assert_false(is(w, CONDITION_STUCK));
    pass(w, 60, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* One that works every ten minutes has done so for a day when it hangs: what is regular is not forgotten
 * because no wait was longer than those of long ago. */
static void test_a_reader_that_was_regular_for_long_hangs(void **state)
{
    struct world *w = *state;
    for (int cycle = 0; cycle < 144; cycle++) {
        pass(w, 585 - cycle / 40 * 15, 0); /* now and then a little sooner than before */
        for (int p = 0; p < PARTITIONS; p++)
            w->committed[p] = w->end[p];
        pass(w, 15, 0);
        assert_int_equal(w->findings->groups[0].conditions, 0);
    }
    pass(w, 16 * 60, 0);
    assert_false(is(w, CONDITION_STUCK));
    pass(w, 2 * 60, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* One that works every five minutes is known by its regularity before it has moved often: when it hangs, that
 * is said after a cycle and a half, and not only when nothing would be known of it. */
static void test_a_regular_reader_hangs(void **state)
{
    struct world *w = *state;
    for (int cycle = 0; cycle < 8; cycle++) {
        pass(w, 285, 0);
        for (int p = 0; p < PARTITIONS; p++)
            w->committed[p] = w->end[p];
        pass(w, 15, 0);
        assert_int_equal(w->findings->groups[0].conditions, 0);
    }
    pass(w, 7 * 60, 0);
    assert_false(is(w, CONDITION_STUCK));
    pass(w, 3 * 60, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* The reader is half as fast as the writer: falling behind, with no time at which it will have caught up, and
 * with the time lag that follows from when the messages were written. */
static void test_falling_behind(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    pass(w, 840, 5);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
    assert_string_equal(group_verdict(&w->findings->groups[0]), "falling_behind");
    assert_in_range(w->findings->subscriptions[0].lag_ms_max, 405000, 435000);
    assert_int_equal(w->findings->subscriptions[0].catchup_ms, UNKNOWN);
    assert_true(w->findings->groups[0].slo_good_ms < w->findings->groups[0].slo_ms);
    pass(w, 60, 100);
    pass(w, 600, 10);
    assert_false(is(w, CONDITION_FALLING_BEHIND));
}

/* Partitions from the first one on are hours late when they are first seen. */
static void begin_late(struct world *w, int from)
{
    for (int p = from; p < PARTITIONS; p++) {
        w->end[p] = 100000;
        w->next_ts[p] = w->now - INT64_C(3) * 3600 * 1000;
    }
    poll(w);
}

/* A group is hours late at first sight, and its members don't read: nobody can say that it is slow until it
 * has been seen to read, and then it is said at once. */
static void test_late_and_not_seen_to_read(void **state)
{
    struct world *w = *state;
    begin_late(w, 0);
    for (int i = 0; i < 62 && !is(w, CONDITION_STUCK); i++) {
        pass(w, 15, 0);
        assert_false(is(w, CONDITION_FALLING_BEHIND));
    }
    assert_true(is(w, CONDITION_STUCK));
    pass(w, 15, 5);
    assert_false(is(w, CONDITION_STUCK));
    assert_true(is(w, CONDITION_FALLING_BEHIND));
}

/* One partition is hours late at first sight and isn't read, while the others are. */
static void test_one_is_late_and_not_seen_to_read(void **state)
{
    struct world *w = *state;
    begin_late(w, PARTITIONS - 1);
    for (int i = 0; i < 62 && !is(w, CONDITION_STUCK); i++) {
        w->now += 15000;
        for (int p = 0; p < PARTITIONS - 1; p++)
            w->committed[p] = w->end[p] += 150;
        poll(w);
        assert_false(is(w, CONDITION_FALLING_BEHIND));
    }
    assert_true(is(w, CONDITION_STUCK));
    pass(w, 15, 10);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
}

/* A group that was reading is slow and hours late when Tidemark is back after an hour, and reads no more. */
static void test_late_and_not_seen_to_read_since_an_outage(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    w->now += INT64_C(3600) * 1000;
    begin_late(w, 0);
    w->members = 0;
    for (int i = 0; i < 22 && !is(w, CONDITION_STOPPED); i++) {
        pass(w, 15, 0);
        assert_false(is(w, CONDITION_FALLING_BEHIND));
    }
    assert_true(is(w, CONDITION_STOPPED));
}

/* A group reads too slowly, hours late, and leaves just before that could be said: it has stopped. Had it
 * been said, a restart of the group would not take it back. */
static void test_nobody_is_slow(void **state)
{
    struct world *w = *state;
    begin_late(w, 0);
    pass(w, 270, 5);
    w->members = 0;
    for (int i = 0; i < 22 && !is(w, CONDITION_STOPPED); i++) {
        pass(w, 15, 0);
        assert_false(is(w, CONDITION_FALLING_BEHIND));
    }
    assert_true(is(w, CONDITION_STOPPED));
    w->members = 2;
    pass(w, 120, 5);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
    w->members = 0;
    pass(w, 60, 0);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
}

/* A batch reader that is hours late gets less done in each of its cycles than is written meanwhile: falling
 * behind, all the time. */
static void test_late_in_cycles(void **state)
{
    struct world *w = *state;
    begin_late(w, 0);
    for (int cycle = 0; cycle < 10; cycle++) {
        for (int p = 0; p < PARTITIONS; p++)
            w->next_ts[p] += 300 * 1000;
        pass(w, 15, 100);
        for (int i = 0; i < 39; i++) {
            pass(w, 15, 0);
            if (cycle > 0)
                assert_true(is(w, CONDITION_FALLING_BEHIND));
        }
    }
}

/* A group is hours late at first sight, and nobody tells times: that it is too slow shows by what is unread,
 * which was there before anybody looked and becomes no less. Once it does, nothing is said. */
static void test_late_and_no_times_are_told(void **state)
{
    struct world *w = *state;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] = 100000;
    for (int i = 0; i < 20; i++) {
        pass(w, 15, 5);
        assert_false(is(w, CONDITION_FALLING_BEHIND));
    }
    pass(w, 300, 5);
    assert_int_equal(w->findings->subscriptions[0].lag_ms_max, UNKNOWN);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
    assert_in_range(w->findings->wheres[0].inputs[0], 585000, 600000);
    pass(w, 600, 20);
    assert_false(is(w, CONDITION_FALLING_BEHIND));
    assert_int_not_equal(w->findings->subscriptions[0].catchup_ms, UNKNOWN);
}

/* The same of one that catches up from the beginning. */
static void test_catching_up_and_no_times_are_told(void **state)
{
    struct world *w = *state;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] = 100000;
    for (int i = 0; i < 120; i++) {
        pass(w, 15, 15);
        assert_int_equal(w->findings->groups[0].conditions, 0);
    }
}

/* Rebalances keep coming: a storm while the group keeps up, a death spiral when it falls behind meanwhile. */
static void test_rebalances(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    for (int i = 0; i < 5; i++) {
        w->generation++;
        pass(w, 120, 10);
    }
    assert_true(is(w, CONDITION_REBALANCE_STORM));
    assert_int_equal(w->findings->groups[0].rebalances_total, 5);
    for (int i = 0; i < 5; i++) {
        w->generation++;
        pass(w, 120, 6);
    }
    assert_true(is(w, CONDITION_DEATH_SPIRAL));
    assert_false(is(w, CONDITION_REBALANCE_STORM));
    pass(w, 360, 100);
    assert_false(is(w, CONDITION_DEATH_SPIRAL));
}

/* A deploy rebalances several times within two minutes and is done. */
static void test_deploy(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    for (int i = 0; i < 6; i++) {
        w->generation++;
        pass(w, 15, 5);
    }
    for (int i = 0; i < 60; i++) {
        pass(w, 15, 20);
        assert_int_equal(w->findings->groups[0].conditions, 0);
    }
}

/* Without any timestamp the start offset shows how near the edge is: a reader that was gone when the history
 * began, of a topic that keeps an hour. */
static void test_retention_without_timestamps(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    w->members = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        w->end[p] = 40000;
        w->start[p] = 4000;
        w->committed[p] = 15000;
    }
    for (int i = 0; i < 60; i++) {
        for (int p = 0; p < PARTITIONS; p++)
            w->start[p] += 150;
        pass(w, 15, 0);
    }
    const struct subscription_findings *sub = &w->findings->subscriptions[0];
    assert_int_equal(sub->lag_ms_max, UNKNOWN);
    /* 2,000 messages, of which ten go a second. */
    assert_in_range(sub->headroom_ms, 195000, 205000);
    assert_in_range(sub->overtake_ms, 195000, 205000);
    assert_true(is(w, CONDITION_RETENTION_RISK));
}

/* A stopped group's backlog nears the end of retention: the risk comes before the loss, and the loss is
 * counted to the message and stays counted. */
static void test_retention(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    pass(w, 600, 10);
    w->members = 0;
    pass(w, 2400, 0);
    assert_false(is(w, CONDITION_RETENTION_RISK));
    pass(w, 900, 0);
    assert_true(is(w, CONDITION_RETENTION_RISK));
    assert_in_range(w->findings->subscriptions[0].headroom_ms, 250000, 350000);
    assert_int_equal(w->findings->subscriptions[0].lost_total, 0);
    w->start[2] = w->committed[2] + 77;
    pass(w, 15, 0);
    assert_true(is(w, CONDITION_DATA_LOST));
    assert_int_equal(w->findings->subscriptions[0].lost_total, 77);
    w->start[2] += 23;
    pass(w, 15, 0);
    assert_int_equal(w->findings->subscriptions[0].lost_total, 100);
    for (int p = 0; p < PARTITIONS; p++)
        w->committed[p] = w->end[p];
    w->members = 2;
    pass(w, 1800, 10);
    assert_false(is(w, CONDITION_DATA_LOST));
    assert_int_equal(w->findings->subscriptions[0].lost_total, 100);
}

/* A log that is kept by size pushes a slow reader along: each time it goes on where the log begins now, which
 * is no reading. The risk stays until it really reads faster. */
static void test_pushed_along_by_deletion(void **state)
{
    struct world *w = *state;
    w->retention_ms = -1;
    w->retention_bytes = 1000000;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] = w->committed[p] = 10000;
    pass(w, 600, 10);
    for (int i = 0; i < 360; i++) { /* 18,000 are kept, and segments of 2,000 go */
        for (int p = 0; p < PARTITIONS; p++) {
            w->start[p] = w->end[p] > 18000 ? (w->end[p] - 18000 + 1999) / 2000 * 2000 : 0;
            if (w->committed[p] < w->start[p])
                w->committed[p] = w->start[p];
        }
        pass(w, 15, 4);
        if (i > 200) {
            assert_true(w->findings->subscriptions[0].lost_total > 0);
            assert_true(is(w, CONDITION_RETENTION_RISK));
        }
    }
    for (int p = 0; p < PARTITIONS; p++)
        w->committed[p] = w->end[p];
    pass(w, 60, 10);
    assert_false(is(w, CONDITION_RETENTION_RISK));
}

/* A group that had stopped before anybody watched: nothing is usual for it yet, and what it has left is
 * known. */
static void test_headroom_is_known_at_once(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    w->members = 0;
    poll(w);
    pass(w, 60, 0);
    assert_in_range(w->findings->subscriptions[0].lag_ms_max, 45000, 60000);
    assert_int_equal(w->findings->subscriptions[0].headroom_ms,
                     3600000 - w->findings->subscriptions[0].lag_ms_max);
    assert_int_equal(w->findings->subscriptions[0].overtake_ms, UNKNOWN);
}

/* A reader with a backlog gets through it, and then reads nothing any more: deletion is there when its time
 * is up, however fast it was before. */
static void test_who_stands_still_is_overtaken_in_time(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    pass(w, 900, 5);
    pass(w, 900, 12);
    assert_int_equal(w->findings->subscriptions[0].overtake_ms, UNKNOWN);
    assert_true(w->findings->subscriptions[0].catchup_ms != UNKNOWN);
    pass(w, 90, 0);
    assert_in_range(w->findings->subscriptions[0].headroom_ms, 3000000, 3400000);
    assert_int_equal(w->findings->subscriptions[0].overtake_ms, w->findings->subscriptions[0].headroom_ms);
    assert_int_equal(w->findings->subscriptions[0].catchup_ms, UNKNOWN);
}

/* A reader gets behind, and later catches up. Each time one poll sees no progress and the next one twice as
 * much: neither forecast moves by more than a fifth, and none comes that wasn't there. */
static void test_forecasts_and_an_odd_sample(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    pass(w, 1200, 10);
    pass(w, 1800, 5);
    assert_in_range(w->findings->subscriptions[0].overtake_ms, 5130000, 5670000); /* (3600 - 900) s / 0.5 */
    pass(w, 15, 0);
    assert_in_range(w->findings->subscriptions[0].overtake_ms, 4320000, 6480000);
    assert_int_equal(w->findings->subscriptions[0].catchup_ms, UNKNOWN);
    pass(w, 15, 10);
    assert_in_range(w->findings->subscriptions[0].overtake_ms, 4320000, 6480000);

    pass(w, 1200, 15);
    assert_in_range(w->findings->subscriptions[0].catchup_ms, 570000, 630000);
    pass(w, 15, 0);
    assert_in_range(w->findings->subscriptions[0].catchup_ms, 480000, 720000);
    assert_int_equal(w->findings->subscriptions[0].overtake_ms, UNKNOWN);
    pass(w, 15, 30);
    assert_in_range(w->findings->subscriptions[0].catchup_ms, 480000, 720000);
}

/* For how long after now, in minutes, the forecast of a group that reads so much a second and has `closing`
 * more read than is written is not within a quarter of what is true. */
static int minutes_until_right(struct world *w, int64_t read, int64_t closing)
{
    int wrong = 0;
    for (int minute = 1; minute <= 30; minute++) {
        pass(w, 60, read);
        int64_t lag = w->end[0] - w->committed[0], said = w->findings->subscriptions[0].catchup_ms;
        assert_true(lag > 0);
        int64_t right = lag * 1000 / closing;
        if (said < right * 3 / 4 || said > right * 5 / 4)
            wrong = minute;
    }
    return wrong;
}

/* Somebody adds members, and half an hour later takes them away again: the forecast follows within minutes.
 */
static void test_forecasts_follow_a_change_of_speed(void **state)
{
    struct world *w = *state;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] += 300000;
    pass(w, 1800, 15);
    assert_in_range(minutes_until_right(w, 40, 30), 1, 5);
    assert_in_range(minutes_until_right(w, 20, 10), 1, 6);
}

/* The same where it is the writer that changes, after hours at another speed. */
static void test_forecasts_follow_the_writer(void **state)
{
    struct world *w = *state;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] += 1000000;
    pass(w, 3 * 3600, 40);
    int wrong = 0;
    for (int minute = 1; minute <= 15; minute++) {
        for (int p = 0; p < PARTITIONS; p++)
            w->end[p] += 600; /* in one piece, and as much again second by second */
        pass(w, 60, 40);
        int64_t right = (w->end[0] - w->committed[0]) * 1000 / 20;
        int64_t said = w->findings->subscriptions[0].catchup_ms;
        if (said < right * 3 / 4 || said > right * 5 / 4)
            wrong = minute;
    }
    assert_in_range(wrong, 1, 6);
}

/* A reader that commits every five minutes gets through its backlog: between two commits nothing is read, and
 * the forecast knows better. */
static void test_forecasts_of_a_reader_that_commits_seldom(void **state)
{
    struct world *w = *state;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] += 1000000;
    for (int i = 0; i < 200; i++) {
        pass(w, 15, i % 20 == 19 ? 20 * 30 : 0);
        int64_t right = (w->end[0] - w->committed[0]) * 1000 / 20;
        if (i >= 80)
            assert_in_range(w->findings->subscriptions[0].catchup_ms, right * 3 / 4, right * 5 / 4);
    }
}

/* Of a topic one partition has a backlog that is being read, and the others are as good as current: the time
 * at which the backlog will be gone is known, whether or not the others are ever at the very end. */
static void test_who_is_current_is_no_obstacle_to_a_forecast(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    for (int p = 1; p < PARTITIONS; p++)
        w->committed[p] -= 100;
    w->end[0] += 100000;
    for (int i = 0; i < 40; i++) {
        w->committed[0] += 300;
        pass(w, 15, 0);
        for (int p = 1; p < PARTITIONS; p++)
            w->committed[p] += 150;
    }
    assert_int_equal(w->findings->subscriptions[0].lag_sum - w->findings->subscriptions[0].lag_max, 2 * 250);
    int64_t right = w->findings->subscriptions[0].lag_max * 1000 / 10;
    assert_in_range(w->findings->subscriptions[0].catchup_ms, right * 3 / 4, right * 5 / 4);
}

/* The source fails to tell a topic's configuration in every third poll: what was told is still so, and the
 * risk is named and stays. */
static void test_a_configuration_that_is_told_now_and_then(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    pass(w, 600, 10);
    w->members = 0;
    for (int i = 0; i < 210; i++) {
        w->retention_ms = i % 3 == 0 ? UNKNOWN : 3600000;
        pass(w, 15, 0);
        int64_t left = 3600000 - w->findings->subscriptions[0].lag_ms_max;
        assert_int_equal(w->findings->subscriptions[0].headroom_ms, left);
        assert_true(!is(w, CONDITION_RETENTION_RISK) || left < 900000);
        assert_true(is(w, CONDITION_RETENTION_RISK) || left > 600000);
    }
}

/* Two of three partitions are read up to their ends every half a minute, in which they get as late as that;
 * the third is minutes late. They are current all the same. */
static void test_siblings_that_commit_seldom_are_current(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    for (int i = 0; i < 60; i++) {
        pass(w, 15, 0);
        w->committed[1] += 75;
        if (i % 2 == 0)
            w->committed[0] = w->committed[2] = w->end[0];
    }
    assert_true(is(w, CONDITION_SKEWED));
    assert_in_range(w->findings->wheres[w->findings->where_count - 1].since, 0, w->now - 780000);
}

/* One partition is read up to its end now and then, and stands still in between: current a moment ago, it is
 * none of its own siblings. */
static void test_who_is_late_is_no_sibling(void **state)
{
    struct world *w = *state;
    int found = 0;
    w->rules.skewed_after_ms = 0;
    pass(w, 1200, 10);
    for (int i = 0; i < 60; i++) {
        int64_t stands = w->committed[1];
        pass(w, 15, 10);
        if (i % 6 != 5)
            w->committed[1] = stands;
        for (uint32_t f = 0; f < w->findings->where_count; f++) {
            const struct finding *finding = &w->findings->wheres[f];
            bool skewed = finding->condition == CONDITION_SKEWED;
            found += skewed;
            assert_true(!skewed || finding->inputs[2] <= finding->inputs[3]); /* current, of siblings */
        }
    }
    assert_true(found > 0);
}

/* There is a member too many: that is said after two minutes, and sooner to who has a shorter objective. */
static void test_a_short_objective_hastens(void **state)
{
    struct world *w = *state;
    w->members = PARTITIONS + 1;
    pass(w, 120, 10);
    assert_false(is(w, CONDITION_IDLE_MEMBERS));
    pass(w, 15, 10);
    assert_true(is(w, CONDITION_IDLE_MEMBERS));
    w->members = PARTITIONS;
    pass(w, 15, 10);
    assert_false(is(w, CONDITION_IDLE_MEMBERS));
    w->members = PARTITIONS + 1;
    w->rules.objective_ms /= 5;
    pass(w, 15, 10);
    assert_false(is(w, CONDITION_IDLE_MEMBERS));
    pass(w, 30, 10);
    assert_true(is(w, CONDITION_IDLE_MEMBERS));
}

/* Somebody sets an empty group's offsets to the end: what was never read is counted as skipped. Set back, it
 * replays until it is current again. */
static void test_reset(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    w->members = 0;
    pass(w, 60, 0);
    int64_t unread = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        unread += w->end[p] - w->committed[p];
        w->committed[p] = w->end[p];
    }
    pass(w, 15, 0);
    assert_true(is(w, CONDITION_SKIPPED));
    assert_int_equal(w->findings->subscriptions[0].skipped_total, unread);
    w->committed[0] -= 5000;
    pass(w, 15, 0);
    assert_true(is(w, CONDITION_REPLAYING));
    assert_int_equal(w->findings->subscriptions[0].rewound_total, 5000);
    w->members = 2;
    pass(w, 300, 100);
    assert_false(is(w, CONDITION_REPLAYING));
}

/* A topic is made again and the bookmark stands beyond its end: no lag is shown, and a poll more makes it an
 * anomaly, counted once, and a condition. Once it has been set right that stays until clear_after has passed
 * since then. */
static void test_topic_made_again(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    w->made_again = true;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] = 0;
    pass(w, 15, 0);
    assert_int_equal(w->findings->positions[0].lag, UNKNOWN);
    assert_int_equal(w->findings->subscriptions[0].lag_sum, UNKNOWN);
    assert_false(is(w, CONDITION_COMMITTED_BEYOND_END));
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], 0);
    int64_t since = w->now;
    pass(w, 15, 0);
    assert_true(is(w, CONDITION_COMMITTED_BEYOND_END));
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], PARTITIONS);
    assert_int_equal(w->findings->wheres[0].position, 0);
    assert_int_equal(w->findings->where_count, PARTITIONS);
    pass(w, 300, 0);
    for (int p = 0; p < PARTITIONS; p++)
        w->committed[p] = w->end[p];
    while (w->now + 15000 < since + w->rules.clear_after_ms) {
        pass(w, 15, 10);
        assert_true(is(w, CONDITION_COMMITTED_BEYOND_END));
        assert_int_equal(w->findings->wheres[0].since, since);
    }
    pass(w, 15, 10);
    assert_false(is(w, CONDITION_COMMITTED_BEYOND_END));
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], PARTITIONS);
}

/* The bookmark stands beyond the end for longer than clear_after, while Tidemark is away, and for a poll that
 * can't tell the end: one occurrence all the same, which is over as soon as the cause is. */
static void test_beyond_end_is_one_occurrence(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    w->committed[1] += 1000000;
    int64_t since = w->now + 15000;
    pass(w, 45, 0);
    w->now += INT64_C(3600) * 1000;
    pass(w, 30, 0);
    w->ends_unknown = true;
    pass(w, 15, 0);
    w->ends_unknown = false;
    pass(w, 30, 0);
    assert_true(is(w, CONDITION_COMMITTED_BEYOND_END));
    assert_int_equal(w->findings->wheres[0].since, since);
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], 1);
    w->committed[1] = w->end[1];
    pass(w, 15, 0);
    assert_false(is(w, CONDITION_COMMITTED_BEYOND_END));
}

/* A topic is restored from a backup and grows beyond the bookmark again: the reader is as well known as
 * before, so that it is missed soon, not only after a quarter of an hour. */
static void test_habits_outlive_a_restored_topic(void **state)
{
    struct world *w = *state;
    pass(w, 1800, 10);
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] -= 1500;
    pass(w, 150, 0);
    assert_true(is(w, CONDITION_COMMITTED_BEYOND_END));
    pass(w, 240, 0);
    assert_true(is(w, CONDITION_STUCK));
}

/* A poll while the leader changes shows an end that is too low, and the next one the right one. */
static void test_beyond_end_for_a_poll(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    for (int i = 0; i < 3; i++) {
        w->end[0] -= 500;
        pass(w, 15, 0);
        w->end[0] += 500;
        pass(w, 15, 10);
    }
    assert_false(is(w, CONDITION_COMMITTED_BEYOND_END));
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], 0);
}

/* The topic is made again, and its ends can't be told in that poll: what isn't known is not beyond. */
static void test_topic_made_again_with_unknown_ends(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    w->made_again = w->ends_unknown = true;
    pass(w, 30, 0);
    assert_int_equal(w->findings->anomalies[ANOMALY_COMMITTED_BEYOND_END], 0);
    assert_false(is(w, CONDITION_COMMITTED_BEYOND_END));
    const struct event_list *events = w->findings->groups[0].events;
    assert_non_null(events);
    for (uint32_t i = 0; i < events->count; i++)
        assert_int_not_equal(events->events[i].kind, EVENT_BEYOND_END);
}

/* One partition's start isn't known, and the reader of the next stands before what is still there. */
static void test_lost_beside_an_unknown_start(void **state)
{
    struct world *w = *state;
    w->start[0] = UNKNOWN;
    w->start[1] = 400;
    w->committed[1] = 100;
    poll(w);
    assert_true(is(w, CONDITION_DATA_LOST));
    assert_int_equal(w->findings->wheres[0].position, 1);
    assert_int_equal(w->findings->wheres[0].inputs[2], 300);
}

/* How old the unread messages are isn't known, so neither is what of them the cleaner may take, unless that
 * is all of them. */
static void test_exposed_to_compaction(void **state)
{
    struct world *w = *state;
    w->cleanup_policy = CLEANUP_COMPACT;
    for (int p = 0; p < PARTITIONS; p++)
        w->committed[p] = 900;
    w->compaction_lag_ms = 3600000;
    poll(w);
    assert_int_equal(w->findings->subscriptions[0].lag_ms_max, UNKNOWN);
    assert_int_equal(w->findings->subscriptions[0].compaction_exposed, UNKNOWN);
    w->compaction_lag_ms = 0;
    w->now += 15000;
    poll(w);
    assert_int_equal(w->findings->subscriptions[0].compaction_exposed, 100 * PARTITIONS);
    for (int p = 0; p < PARTITIONS; p++)
        w->committed[p] = 1000;
    w->compaction_lag_ms = 3600000;
    w->now += 15000;
    poll(w);
    assert_int_equal(w->findings->subscriptions[0].compaction_exposed, 0);
}

/* Rules take durations with a unit, shares and counts, and refuse the rest with what would be right. */
static void test_rules(void **state)
{
    (void)state;
    struct rules rules = rules_default();
    struct error error = {0};
    assert_true(rules_set(&rules, "objective", "90s", &error));
    assert_int_equal(rules.objective_ms, 90000);
    assert_true(rules_set(&rules, "horizon", "2d", &error));
    assert_int_equal(rules.horizon_ms, INT64_C(172800000));
    assert_true(rules_set(&rules, "rebalance_count", "6", &error));
    assert_int_equal(rules.rebalance_count, 6);
    static const char *const bad[][2] = {
        {"objective", "90"},      {"objective", "-1s"},       {"objective", "0s"},
        {"objective", "nan s"},   {"objective", "1e300d"},    {"objective", ""},
        {"horizon_share", "1.5"}, {"horizon_share", "nan"},   {"horizon_share", "0"},
        {"rebalance_count", "0"}, {"rebalance_count", "2.5"}, {"nothing", "1s"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(rules_set(&rules, bad[i][0], bad[i][1], &error));
        assert_int_equal(error.code, ERROR_USAGE);
        assert_non_null(strstr(error_text(&error), bad[i][0]));
    }
    assert_int_equal(rules.objective_ms, 90000);
    error_clear(&error);
}

/* A topic keeps its messages for ever, by the largest number there is, as is usual in Kafka; and the horizon
 * is any time before that. */
static void test_the_horizon_of_eternity(void **state)
{
    (void)state;
    struct rules rules = rules_default();
    assert_int_equal(rules_horizon(&rules, (double)INT64_MAX), rules.horizon_ms);
    rules.horizon_share = 1;
    assert_int_equal(rules_horizon(&rules, (double)INT64_MAX), rules.horizon_ms);
    assert_int_equal(rules_horizon(&rules, 3600000), 3600000);
    assert_int_equal(rules_horizon(&rules, -1e300), 0);
}

/* How many rebalances are counted after a poll that tells this of the group. */
static int64_t rebalances_after(struct world *w, enum group_state state, int64_t generation)
{
    w->state = state;
    w->generation = generation;
    w->now += 1000;
    poll(w);
    return w->findings->groups[0].rebalances_total;
}

/* A rebalance that was counted by its state is not counted again by the generation that it ends with. */
static void test_generations_that_become_known_in_a_rebalance(void **state)
{
    struct world *w = *state;
    assert_int_equal(rebalances_after(w, GROUP_STATE_STABLE, UNKNOWN), 0);
    assert_int_equal(rebalances_after(w, GROUP_STATE_PREPARING_REBALANCE, UNKNOWN), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_COMPLETING_REBALANCE, 1), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_COMPLETING_REBALANCE, UNKNOWN), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_STABLE, 2), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_PREPARING_REBALANCE, 2), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_STABLE, 4), 3);
}

/* One that was over when the generation became known is in that generation. */
static void test_generations_that_become_known_after_a_rebalance(void **state)
{
    struct world *w = *state;
    assert_int_equal(rebalances_after(w, GROUP_STATE_PREPARING_REBALANCE, UNKNOWN), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_STABLE, 2), 1);
    assert_int_equal(rebalances_after(w, GROUP_STATE_STABLE, 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_generations_that_become_known_in_a_rebalance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_generations_that_become_known_after_a_rebalance, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_healthy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_cycle_that_was_seen_in_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stuck_names_the_partition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_unknown_for_a_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_objective_leaves_out_an_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_anomaly_counts_once_an_occurrence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batches_are_not_stuck, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_regular_reader_hangs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_falling_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_and_not_seen_to_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_is_late_and_not_seen_to_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_and_not_seen_to_read_since_an_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_is_slow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_in_cycles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rebalances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deploy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retention_without_timestamps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retention, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_headroom_is_known_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_stands_still_is_overtaken_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forecasts_and_an_odd_sample, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forecasts_follow_a_change_of_speed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forecasts_follow_the_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forecasts_of_a_reader_that_commits_seldom, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_current_is_no_obstacle_to_a_forecast, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_configuration_that_is_told_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_siblings_that_commit_seldom_are_current, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_late_is_no_sibling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reader_that_was_regular_for_long_hangs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_and_no_times_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_catching_up_and_no_times_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pushed_along_by_deletion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_may_take_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_may_not_take_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_habits_outlive_a_restored_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_short_objective_hastens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_topic_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_beyond_end_is_one_occurrence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_beyond_end_for_a_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_topic_made_again_with_unknown_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_beside_an_unknown_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exposed_to_compaction, set_up, tear_down),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_the_horizon_of_eternity),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
