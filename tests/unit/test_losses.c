#include "tests/lib/topics_world.h"

/* Retention takes unread messages of one topic from partition 1 and, later, of the other from partition 0:
 * both are named, each with its own partition, long after the loss, since the reader still stands before the
 * start. */
static void test_both_topics_are_named(void **state)
{
    struct world *w = *state;
    polls(w, 3);
    w->start[0][1] = 500;
    polls(w, 1);
    w->start[1][0] = 70;
    polls(w, 1);
    for (int i = 0; i < 8; i++)
        poll_after(w, 180);
    assert_true(is(w, CONDITION_DATA_LOST));
    assert_int_equal(where(w, CONDITION_DATA_LOST, 0), 1);
    assert_int_equal(where(w, CONDITION_DATA_LOST, 1), 0);
    assert_int_equal(on(w, 0)->lost_total, 500);
    assert_int_equal(on(w, 1)->lost_total, 70);
}

/* While the commits of a group can't be read for some polls, retention goes on: what it took in that time is
 * counted in full when they are seen again. */
static void test_loss_while_commits_are_unseen(void **state)
{
    struct world *w = *state;
    polls(w, 3);
    w->committed[0][0] = w->committed[0][1] = NOWHERE;
    for (int i = 1; i <= 4; i++) {
        w->start[0][0] = i * 100;
        polls(w, 1);
    }
    assert_int_equal(on(w, 0)->lost_total, 0);
    w->committed[0][0] = w->committed[0][1] = 0;
    w->start[0][0] = 500;
    polls(w, 1);
    assert_int_equal(on(w, 0)->lost_total, 500);
    polls(w, 3);
    assert_int_equal(on(w, 0)->lost_total, 500);
}

/* The monitor was away for a weekend in which retention overtook a group that didn't move: the loss is
 * counted. */
static void test_loss_while_away(void **state)
{
    struct world *w = *state;
    polls(w, 10);
    w->start[0][0] = 4000;
    poll_after(w, 2 * 24 * 3600);
    assert_int_equal(on(w, 0)->lost_total, 4000);
    assert_true(is(w, CONDITION_DATA_LOST));
}

/* A group of which members were seen is empty, and has something unread. */
static void leave_unread(struct world *w)
{
    polls(w, 10);
    w->members = 0;
    polls(w, 10);
}

/* The offset is set forward while the group is empty, between two polls as usual: skipped. */
static void test_skipped(void **state)
{
    struct world *w = *state;
    leave_unread(w);
    w->committed[0][0] = 5000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 5000);
    assert_int_equal(where(w, CONDITION_SKIPPED, 0), 0);
}

/* The source could not be reached for some polls, in which members came, read, and left: the same picture,
 * but nobody knows, so nothing is called skipped. */
static void test_read_during_an_outage(void **state)
{
    struct world *w = *state;
    leave_unread(w);
    w->committed[0][0] = 5000;
    poll_after(w, 5 * 60);
    assert_int_equal(on(w, 0)->skipped_total, 0);
    assert_false(is(w, CONDITION_SKIPPED));
    polls(w, 10); /* and it isn't for later polls that were as usual */
    w->committed[0][0] = 6000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 1000);
}

/* A member came, read and left between two polls: the generation tells it from a tool that sets offsets. */
static void test_read_between_two_polls(void **state)
{
    struct world *w = *state;
    w->generation = 7;
    leave_unread(w);
    w->generation += 2;
    w->committed[0][0] = 5000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 0);
    polls(w, 4);
    w->committed[0][0] = 6000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 1000);
}

/* An empty group's commits expire a week after it became empty: that is said a day before, not earlier, and
 * no longer once there is a member. */
static void test_offsets_expiring(void **state)
{
    struct world *w = *state;
    const int64_t week = INT64_C(7) * 86400 * 1000;
    w->offsets_retention_ms = week;
    w->members = 0;
    w->empty_since = began;
    poll_after(w, 6 * 86400 - 60);
    assert_int_equal(w->findings->groups[0].offsets_expire, began + week);
    assert_false(is(w, CONDITION_OFFSETS_EXPIRING));
    poll_after(w, 120);
    assert_true(is(w, CONDITION_OFFSETS_EXPIRING));
    w->members = 1;
    w->empty_since = UNKNOWN;
    polls(w, 1);
    assert_false(is(w, CONDITION_OFFSETS_EXPIRING));
    assert_int_equal(w->findings->groups[0].offsets_expire, UNKNOWN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_both_topics_are_named), TEST(test_loss_while_commits_are_unseen),
        TEST(test_loss_while_away),       TEST(test_skipped),
        TEST(test_read_during_an_outage), TEST(test_read_between_two_polls),
        TEST(test_offsets_expiring),
    };
    return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
