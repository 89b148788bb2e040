#include "exporter/json_groups.h"

#include "exporter/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* What two sources last said, as it is published, and the JSON of it. */
struct world {
    struct publish *publish;
    struct history *history;
    struct rules rules;
    struct str group;
    struct member_list list; /* of the next poll */
    int64_t now, start, committed, members, generation;
    json_t *json;
};

static const int64_t began = INT64_C(1764000000000);

static int set_up(void **state)
{
    static const struct source_status statuses[] = {
        {.cluster = "near", .kind = "kafka", .polled = true, .up = true, .last_success = UNKNOWN},
        {.cluster = "far", .kind = "kafka", .last_success = UNKNOWN},
    };
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->publish = publish_new(statuses, 2);
    w->history = history_new();
    w->rules = rules_default();
    w->group = STR_LITERAL("billing");
    w->now = began;
    w->committed = 1000;
    w->members = 1;
    w->generation = 3;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    json_decref(w->json);
    publish_free(&w->publish);
    history_free(&w->history);
    free(w);
    return 0;
}

/* A minute passes: 100 messages are written, `read` of them are read. */
static void poll(struct world *w, int64_t read)
{
    struct snapshot *s = snapshot_new();
    w->now += 60000;
    w->committed += read;
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("or\"ders"), 1);
    uint32_t group = (uint32_t)snapshot_add_group(s, w->group);
    s->partitions[0].start = w->start;
    s->partitions[0].end = 1000 + (w->now - began) / 600;
    s->groups[group].members = w->members;
    s->groups[group].member_list = snapshot_take_list(s, &w->list);
    s->groups[group].generation = w->generation;
    s->groups[group].session_timeout_ms = 45000;
    s->groups[group].rebalance_timeout_ms = 240000;
    assert_non_null(snapshot_add_position(s, group, topic, 0, w->committed));
    snapshot_seal(s, w->now);
    history_observe(w->history, s);
    struct findings *findings = evaluate(w->history, s, w->now, &w->rules);
    struct source_status status = {.cluster = "near", .kind = "kafka", .polled = true, .up = true};
    publish_poll(w->publish, 0, &status, s, findings);
}

static json_t *parsed(struct world *w, struct buf *out)
{
    json_error_t reason;
    assert_true(buf_ok(out));
    json_decref(w->json);
    w->json = json_loadb(out->bytes, out->length, 0, &reason);
    if (w->json == NULL)
        fail_msg("%s at %d in %.*s", reason.text, reason.position, (int)out->length, out->bytes);
    buf_free(out);
    return w->json;
}

static json_t *all_groups(struct world *w)
{
    struct buf out = buf_make(1 << 20);
    struct view *view = publish_view(w->publish);
    json_add_groups(&out, view, w->now, NULL, (struct json_range){0, JSON_ALL});
    view_release(&view);
    return parsed(w, &out);
}

static json_t *one_group(struct world *w, const char *name, const char *cluster)
{
    struct buf out = buf_make(1 << 20);
    struct view *view = publish_view(w->publish);
    bool found = json_add_group(&out, view, w->now, str_of(name), cluster);
    view_release(&view);
    if (found)
        return parsed(w, &out);
    assert_int_equal(out.length, 0);
    return NULL;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "(none)";
}

/* Nothing has been polled yet: both sources are listed, and no group. */
static void test_nothing_known(void **state)
{
    struct world *w = *state;
    json_t *json = all_groups(w);
    assert_int_equal(json_array_size(json_object_get(json, "sources")), 2);
    assert_int_equal(json_array_size(json_object_get(json, "groups")), 0);
    assert_null(one_group(w, "billing", NULL));
}

/* A group with a member reads and then doesn't move any more: what is the matter is said with its numbers,
 * its rule, and what to do. */
static void test_stuck(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 30; i++)
        poll(w, 100);
    for (int i = 0; i < 20; i++)
        poll(w, 0);
    json_t *group = json_array_get(json_object_get(all_groups(w), "groups"), 0);
    assert_string_equal(text(group, "verdict"), "stuck");
    assert_string_equal(text(group, "cluster"), "near");
    assert_int_equal(json_integer_value(json_object_get(group, "lag")), 2000);
    json_t *condition = json_array_get(json_object_get(group, "conditions"), 0);
    assert_string_equal(text(condition, "topic"), "or\"ders");
    assert_non_null(strstr(text(condition, "reason"), "2,000 messages wait on or\"ders/0"));
    assert_non_null(strstr(text(condition, "reason"), "from offset 4,000"));
    assert_null(json_object_get(condition, "rule"));

    group = one_group(w, "billing", "near");
    condition = json_array_get(json_object_get(group, "conditions"), 0);
    assert_non_null(strstr(text(condition, "rule"), "no progress"));
    assert_non_null(strstr(text(condition, "advice"), "offset 4,000"));
    json_t *inputs = json_object_get(condition, "inputs");
    json_t *limit = json_array_get(inputs, json_array_size(inputs) - 1);
    assert_string_equal(text(limit, "name"), "patience");
    assert_true(json_is_true(json_object_get(limit, "limit")));
    assert_true(json_real_value(json_object_get(group, "session_timeout_seconds")) == 45.0);
}

/* Rebalances keep coming and the group falls behind: what to do names the settings to look at, those that are
 * known with the group's own values. */
static void test_death_spiral(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 30; i++)
        poll(w, 100);
    for (int i = 0; i < 15; i++) {
        w->generation++;
        poll(w, 50);
    }
    json_t *group = one_group(w, "billing", "near");
    assert_string_equal(text(group, "verdict"), "death_spiral");
    json_t *condition = json_array_get(json_object_get(group, "conditions"), 0);
    assert_string_equal(text(condition, "condition"), "death_spiral");
    const char *advice = text(condition, "advice");
    assert_non_null(strstr(advice, "max.poll.interval.ms (the members declared 4m)"));
    assert_non_null(strstr(advice, "max.poll.records"));
    assert_non_null(strstr(advice, "session.timeout.ms (declared: 45s)"));
}

/* The past can be drawn: columns of one length, at most CHART_SAMPLES, with the last poll at their end. */
static void test_history(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3 * CHART_SAMPLES; i++)
        poll(w, 100);
    json_t *topic = json_array_get(json_object_get(one_group(w, "billing", NULL), "topics"), 0);
    json_t *past = json_object_get(topic, "history"), *column;
    const char *name;
    assert_int_equal(json_object_size(past), 5);
    json_object_foreach(past, name, column)
    {
        assert_int_equal(json_array_size(column), CHART_SAMPLES);
    }
    json_t *ends = json_object_get(past, "end"), *times = json_object_get(past, "t");
    assert_int_equal(json_integer_value(json_array_get(ends, CHART_SAMPLES - 1)),
                     1000 + 3 * CHART_SAMPLES * 100);
    assert_true(json_real_value(json_array_get(times, 0)) == (double)(began + 60000) / 1000);
    assert_true(json_real_value(json_object_get(topic, "written_per_second")) > 1.66);
    assert_true(json_real_value(json_object_get(topic, "written_per_second")) < 1.67);
}

static json_t *event_named(json_t *group, const char *kind)
{
    json_t *event;
    size_t i;
    json_array_foreach(json_object_get(group, "events"), i, event)
    {
        if (strcmp(text(event, "event"), kind) == 0)
            return event;
    }
    fail_msg("no event %s in %s", kind, json_dumps(json_object_get(group, "events"), 0));
    return NULL;
}

/* Retention takes unread messages in three polls one after another: that is one loss, with its offsets, and a
 * condition that began. */
static void test_lost(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        poll(w, 0);
    for (int i = 0; i < 3; i++) {
        w->start = w->start == 0 ? 1100 : w->start + 100;
        poll(w, 0);
    }
    json_t *group = one_group(w, "billing", NULL);
    json_t *lost = event_named(group, "lost");
    assert_int_equal(json_integer_value(json_object_get(lost, "from")), 1000);
    assert_int_equal(json_integer_value(json_object_get(lost, "to")), 1300);
    assert_int_equal(json_integer_value(json_object_get(lost, "count")), 300);
    assert_string_equal(text(lost, "topic"), "or\"ders");
    assert_true(json_real_value(json_object_get(lost, "until")) -
                    json_real_value(json_object_get(lost, "time")) ==
                120.0);
    assert_string_equal(text(event_named(group, "condition_began"), "condition"), "data_lost");
    assert_int_equal(json_integer_value(json_object_get(group, "lost")), 300);
}

/* Members come and go hundreds of times after a loss: the loss stays on record. */
static void test_losses_stay(void **state)
{
    struct world *w = *state;
    poll(w, 0);
    w->start = 1050;
    poll(w, 100);
    w->start = 1000;
    for (int i = 0; i < 300; i++) {
        w->members = i % 2;
        poll(w, 100);
    }
    json_t *group = one_group(w, "billing", NULL);
    assert_int_equal(json_array_size(json_object_get(group, "events")), EVENTS);
    (void)event_named(group, "emptied");
    (void)event_named(group, "joined");
    w->start = 1000000;
    poll(w, 100);
    for (int i = 0; i < 300; i++) {
        w->members = i % 2;
        poll(w, 100);
    }
    (void)event_named(one_group(w, "billing", NULL), "lost");
}

/* A group's name has a NUL, an escape sequence and bytes that are no UTF-8: it is found under the name that
 * it is shown by, and the JSON stays JSON. */
static void test_hostile_name(void **state)
{
    struct world *w = *state;
    w->group = STR_LITERAL("a\0\x1b[2J\"\\\xff/b");
    poll(w, 100);
    json_t *group = json_array_get(json_object_get(all_groups(w), "groups"), 0);
    assert_string_equal(text(group, "group"), "a\\x00\x1b[2J\"\\\\xff/b");
    group = one_group(w, "a\\x00\x1b[2J\"\\\\xff/b", NULL);
    assert_non_null(group);
    assert_string_equal(text(group, "group"), "a\\x00\x1b[2J\"\\\\xff/b");
    assert_null(one_group(w, "a", NULL));
    assert_null(one_group(w, "a\\x00\x1b[2J\"\\\\xff/b", "far"));
}

/* A list is left out where nobody knows who the members are, and empty where there are none. */
static void test_members(void **state)
{
    struct world *w = *state;
    w->members = 2;
    member_list_add(&w->list, &(struct member){STR_LITERAL("<b>\"\0\xff"), STR_LITERAL("/10.0.0.1"), 0});
    member_list_add(&w->list, &(struct member){STR_LITERAL("new"), STR_LITERAL("/10.0.0.2"), UNKNOWN});
    poll(w, 100);
    const json_t *group = one_group(w, "billing", NULL);
    const json_t *list = json_object_get(group, "member_list");
    assert_int_equal(json_integer_value(json_object_get(group, "members")), 2);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text(json_array_get(list, 0), "client_id"), "<b>\"\\x00\\xff");
    assert_string_equal(text(json_array_get(list, 0), "host"), "/10.0.0.1");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "partitions")), 0);
    assert_null(json_object_get(json_array_get(list, 1), "partitions"));
    poll(w, 100);
    assert_null(json_object_get(one_group(w, "billing", NULL), "member_list"));
    w->members = 0;
    poll(w, 100);
    list = json_object_get(one_group(w, "billing", NULL), "member_list");
    assert_true(json_is_array(list));
    assert_int_equal(json_array_size(list), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stuck, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_death_spiral, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_losses_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_members, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("json_groups", tests, NULL, NULL);
}
