#include "tests/lib/group_world.h"

/* The wall clock is set back by an hour, as when it had been ahead. */

static void set_back(struct world *w)
{
    w->now -= INT64_C(3600) * 1000;
}

/* For how long the only condition has lasted. */
static int64_t lasted(const struct world *w)
{
    const struct group_findings *group = &w->findings->groups[0];
    assert_int_equal(group->wheres, 1);
    return w->now - w->findings->wheres[group->first_where].since;
}

/* Nobody reads any more: that doesn't change with the clock. */
static void test_who_is_stopped_stays_stopped(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    w->members = 0;
    pass(w, 900, 0);
    assert_true(is(w, CONDITION_STOPPED));
    int64_t before = lasted(w);
    set_back(w);
    for (int minute = 0; minute < 30; minute++) {
        pass(w, 60, 0);
        assert_true(is(w, CONDITION_STOPPED));
    }
    assert_int_equal(lasted(w), before + 30 * 60 * 1000);
}

/* Who keeps up is late by nothing, and who stops then is found out as soon as ever. */
static void test_who_stops_afterwards_is_found_out(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    set_back(w);
    for (int minute = 0; minute < 10; minute++) {
        pass(w, 60, 10);
        assert_int_equal(w->findings->groups[0].conditions, 0);
    }
    w->members = 0;
    pass(w, 900, 0);
    assert_true(is(w, CONDITION_STOPPED));
    struct subscription_findings all = group_total(w->findings, &w->snapshot->groups[0]);
    assert_int_equal(all.lost_total + all.skipped_total + all.rewound_total, 0);
}

/* Late, and at twice the speed of what is written: the forecast says so after it as before. */
static void test_forecasts_go_on(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    pass(w, 1800, 0);
    pass(w, 600, 20);
    int64_t before = group_total(w->findings, &w->snapshot->groups[0]).catchup_ms;
    assert_true(before != UNKNOWN);
    set_back(w);
    pass(w, 60, 20);
    int64_t after = group_total(w->findings, &w->snapshot->groups[0]).catchup_ms;
    assert_in_range(after, before / 2, before);
}

/* A rebalance before it and one after it are two events: no event ends before it began. */
static void test_no_event_ends_before_it_began(void **state)
{
    struct world *w = *state;
    pass(w, 60, 10);
    w->generation++;
    pass(w, 15, 10);
    set_back(w);
    w->generation++;
    pass(w, 15, 10);
    const struct event_list *list = w->findings->groups[0].events;
    assert_non_null(list);
    assert_int_equal(list->count, 2);
    for (uint32_t i = 0; i < list->count; i++)
        assert_true(list->events[i].until >= list->events[i].time);
}

/* Two daemons have recorded to one file, and each line of the one comes a moment late: no time passes twice.
 */
static void test_lines_out_of_order_are_no_time(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 80; i++) {
        pass(w, 15, 10);
        w->now -= 200;
        poll(w);
        w->now += 200;
    }
    assert_in_range(w->findings->groups[0].slo_ms, 1180 * 1000, 1220 * 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_stopped_stays_stopped),
        TEST(test_who_stops_afterwards_is_found_out),
        TEST(test_forecasts_go_on),
        TEST(test_no_event_ends_before_it_began),
        TEST(test_lines_out_of_order_are_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
