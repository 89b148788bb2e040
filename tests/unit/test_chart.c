#include "exporter/chart.h"

#include "exporter/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The past of a group on a topic: packed, thinned out, and the speed that it tells. */

static struct chart *chart_of(const struct chart_sample *samples, size_t count)
{
    struct chart *chart = NULL;
    for (size_t i = 0; i < count; i++)
        chart = chart_add(chart, &samples[i]);
    return chart;
}

/* Numbers as far apart as can be, small ones of both signs, and what isn't known. */
static void test_samples_come_back_as_they_were(void **state)
{
    const struct chart_sample samples[] = {
        {INT64_MAX, INT64_MIN, 0, -1, UNKNOWN, 1},
        {INT64_MIN, INT64_MAX, 63, 64, 0, INT64_MAX},
        {1764000000000, 1, -64, -65, 15000, 0},
        {1764000015000, 127, 128, INT64_MIN, INT64_MAX, 1000},
    };
    enum { COUNT = sizeof samples / sizeof *samples };
    struct chart *chart = chart_of(samples, COUNT);
    struct chart_past past;
    (void)state;
    assert_true(chart_read(chart, &past) > 0);
    assert_int_equal(past.count, COUNT);
    assert_memory_equal(past.samples, samples, sizeof samples);
    chart_release(&chart);
    assert_int_equal(chart_read(chart, &past), 0);
    assert_int_equal(past.count, 0);
}

/* A week of polls: the first sample and the last one stay, and what is late is close together. */
static void test_old_samples_are_thinned_out(void **state)
{
    struct chart *chart = NULL;
    struct chart_past past;
    const int64_t polls = 7 * 24 * 60 * 4, interval = 15000;
    (void)state;
    for (int64_t i = 0; i < polls; i++)
        chart =
            chart_add(chart, &(struct chart_sample){.time = i * interval, .committed = 7 * i, .end = 9 * i});
    chart_read(chart, &past);
    assert_int_equal(past.count, CHART_SAMPLES);
    assert_int_equal(past.samples[0].time, 0);
    assert_int_equal(past.samples[CHART_SAMPLES - 1].time, (polls - 1) * interval);
    for (uint32_t i = 0; i < past.count; i++) {
        int64_t number = past.samples[i].time / interval;
        assert_int_equal(past.samples[i].committed, 7 * number);
        assert_int_equal(past.samples[i].end, 9 * number);
        if (i > 0)
            assert_true(past.samples[i - 1].time < past.samples[i].time);
    }
    int64_t last_gap = past.samples[CHART_SAMPLES - 1].time - past.samples[CHART_SAMPLES - 2].time;
    int64_t first_gap = past.samples[1].time - past.samples[0].time;
    assert_int_equal(last_gap, interval);
    assert_true(first_gap > 100 * last_gap);
    chart_release(&chart);
}

/* Who holds a chart sees what it was when the history has gone on. */
static void test_a_held_chart_stays_as_it_is(void **state)
{
    struct chart *chart = chart_of(&(struct chart_sample){.time = 1}, 1), *held = chart_hold(chart);
    struct chart_past past;
    (void)state;
    chart = chart_add(chart, &(struct chart_sample){.time = 2});
    chart_read(held, &past);
    assert_int_equal(past.count, 1);
    chart_read(chart, &past);
    assert_int_equal(past.count, 2);
    chart_release(&held);
    chart_release(&chart);
}

/* Sums of other positions, or of a bookmark that was set back, tell no speed. */
static void test_rates_are_of_what_can_be_compared(void **state)
{
    const struct chart_sample samples[] = {
        {.time = 0, .committed = 5000, .end = 9000, .positions = 2},
        {.time = 60000, .committed = 100, .end = 200, .positions = 1},
        {.time = 80000, .committed = 140, .end = 300, .positions = 1},
        {.time = 100000, .committed = 10, .end = 300, .positions = 1},
    };
    struct chart_rates rates;
    (void)state;
    struct chart *chart = chart_of(samples, 2);
    assert_false(chart_rates(NULL, &rates));
    assert_false(chart_rates(chart, &rates));
    chart = chart_add(chart, &samples[2]);
    assert_true(chart_rates(chart, &rates));
    assert_true(rates.read == 2 && rates.written == 5);
    chart = chart_add(chart, &samples[3]);
    assert_false(chart_rates(chart, &rates));
    chart_release(&chart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_come_back_as_they_were),
        cmocka_unit_test(test_old_samples_are_thinned_out),
        cmocka_unit_test(test_a_held_chart_stays_as_it_is),
        cmocka_unit_test(test_rates_are_of_what_can_be_compared),
    };
    return cmocka_run_group_tests_name("chart", tests, NULL, NULL);
}
