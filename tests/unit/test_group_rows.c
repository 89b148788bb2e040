#include "exporter/group_row.h"

#include "exporter/evaluate.h"
#include "exporter/html_parts.h"
#include "exporter/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A group that reads a topic of two partitions, and one that only is there. A minute passes from poll to
 * poll, in which a hundred messages are written to each partition. */
enum { PARTITIONS = 2 };
struct world {
    struct publish *publish;
    struct history *history;
    int64_t now, start, end, committed[PARTITIONS], members, other_members, age_ms;
    bool other_unknown;
    struct view *view;
    struct group_row *rows;
};

static int set_up(void **state)
{
    static const struct source_status status = {.cluster = "near", .kind = "kafka", .last_success = UNKNOWN};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->publish = publish_new(&status, 1);
    w->history = history_new();
    w->now = INT64_C(1764000000000);
    w->end = 100000;
    w->committed[0] = w->committed[1] = 1000;
    w->members = 1;
    *state = w;
    return 0;
}

static void forget_view(struct world *w)
{
    free(w->rows);
    view_release(&w->view);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    forget_view(w);
    publish_free(&w->publish);
    history_free(&w->history);
    free(w);
    return 0;
}

static void poll(struct world *w, int64_t read_0, int64_t read_1)
{
    struct snapshot *s = snapshot_new();
    struct rules rules = rules_default();
    w->now += 60000;
    w->end += 100;
    w->committed[0] += read_0;
    w->committed[1] += read_1;
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), PARTITIONS);
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("billing"));
    uint32_t other = (uint32_t)snapshot_add_group(s, STR_LITERAL("other"));
    s->groups[group].members = w->members;
    s->groups[other].members = 1;
    s->groups[other].commits_unknown = w->other_unknown;
    for (int p = 0; p < PARTITIONS; p++) {
        s->partitions[p].start = w->start;
        s->partitions[p].end = w->end;
        struct snap_position *position = snapshot_add_position(s, group, topic, p, w->committed[p]);
        assert_non_null(position);
        if (w->age_ms > 0)
            position->next_ts = w->now - w->age_ms;
    }
    snapshot_seal(s, w->now);
    history_observe(w->history, s);
    struct findings *findings = evaluate(w->history, s, w->now, &rules);
    struct source_status status = {.cluster = "near", .kind = "kafka", .polled = true, .up = true};
    publish_poll(w->publish, 0, &status, s, findings);
    forget_view(w);
    size_t count;
    w->view = publish_view(w->publish);
    w->rows = group_rows(w->view, &count);
    assert_int_equal(count, 2);
}

/* What isn't known stands before what is fine, and after whatever is said of another group. */
static void test_order(void **state)
{
    struct world *w = *state;
    w->members = 3; /* for two partitions */
    w->other_unknown = true;
    for (int minute = 0; minute < 5; minute++) {
        w->committed[0] = w->committed[1] = w->end;
        poll(w, 100, 100);
    }
    assert_string_equal(group_verdict(w->rows[0].findings), "idle_members");
    assert_true(w->rows[1].findings->unknown);
    w->members = 2;
    poll(w, 100, 100);
    assert_true(w->rows[0].findings->unknown);
    assert_string_equal(group_verdict(w->rows[1].findings), "ok");
}

/* A group has stopped: it reads nothing, whatever the mean of the last minutes is. */
static void test_who_has_stopped_reads_nothing(void **state)
{
    struct world *w = *state;
    for (int minute = 0; minute < 5; minute++)
        poll(w, 90, 90);
    assert_true(w->rows[0].rates_known && w->rows[0].rates.read > 2.9);
    w->members = 0;
    for (int minute = 0; minute < 6; minute++)
        poll(w, minute == 0 ? 90 : 0, 0);
    assert_string_equal(group_verdict(w->rows[0].findings), "stopped");
    assert_true(w->rows[0].rates_known && w->rows[0].rates.written > 3.3);
    assert_true(w->rows[0].rates.read == 0);
}

static bool says(const struct world *w, const char *words)
{
    const struct group_row *row = &w->rows[0];
    const struct findings *findings = row->source->findings;
    struct buf out = buf_make(1 << 16);
    for (uint32_t i = 0; i < row->findings->wheres; i++)
        reason_add_sentence(&out, &(struct reason){.snapshot = row->source->snapshot, .findings = findings},
                            &findings->wheres[row->findings->first_where + i]);
    assert_true(buf_ok(&out));
    bool found = memmem(out.bytes, out.length, words, strlen(words)) != NULL;
    buf_free(&out);
    return found;
}

/* A group that reads less than is written never catches up. One of which one partition is read quickly and
 * the other hardly may never do, but its speed doesn't show it. */
static void test_outlook(void **state)
{
    struct world *w = *state;
    w->age_ms = INT64_C(3) * 3600 * 1000;
    for (int minute = 0; minute < 15; minute++)
        poll(w, 50, 50);
    assert_string_equal(group_verdict(w->rows[0].findings), "falling_behind");
    assert_true(says(w, "3.3 a second are written and 1.7 read, so at this pace it never catches up."));
    for (int minute = 0; minute < 15; minute++)
        poll(w, 500, 50);
    assert_string_equal(group_verdict(w->rows[0].findings), "falling_behind");
    assert_true(says(w, "3.3 a second are written and 9.2 read."));
}

/* Messages were lost on a topic of which nothing is known else. */
static void test_ledger(void **state)
{
    struct world *w = *state;
    struct buf out = buf_make(1 << 16);
    poll(w, 0, 0);
    w->start = 1100;
    poll(w, 0, 0);
    assert_string_equal(group_verdict(w->rows[0].findings), "data_lost");
    html_add_ledger_row(&out, &w->rows[0], w->rows[0].group->first_subscription, true);
    assert_true(buf_ok(&out));
    assert_non_null(memmem(out.bytes, out.length, "lost</b></td>", strlen("lost</b></td>")));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_stopped_reads_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outlook, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ledger, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("group_rows", tests, NULL, NULL);
}
