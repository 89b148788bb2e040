#include "exporter/snapshot_members.h"

#include "exporter/evaluate.h"
#include "exporter/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Who the members of a group are: as it is kept, and as the group's page shows it. */

static const struct str markup = {"<img src=x onerror=alert(1)>\"'&\0\xff", 33};

static void add(struct member_list *list, struct str client_id, struct str host, int64_t assigned)
{
    member_list_add(list, &(struct member){client_id, host, assigned});
}

static void test_gives_back_what_was_added(void **state)
{
    (void)state;
    struct member_list list = {0};
    struct member member;
    struct str rest = member_list_str(&list);
    assert_false(member_list_next(&rest, &member));
    add(&list, markup, STR_LITERAL("/10.0.0.1"), 3);
    add(&list, (struct str){NULL, 0}, (struct str){NULL, 0}, UNKNOWN);
    add(&list, STR_LITERAL("billing"), (struct str){NULL, 0}, UNKNOWN);
    rest = member_list_str(&list);
    assert_true(member_list_next(&rest, &member));
    assert_true(str_equal(member.client_id, markup));
    assert_true(str_equal(member.host, STR_LITERAL("/10.0.0.1")));
    assert_int_equal(member.assigned, 3);
    assert_true(member_list_next(&rest, &member));
    assert_int_equal(member.client_id.length + member.host.length, 0);
    assert_true(member.assigned == UNKNOWN);
    assert_true(member_list_next(&rest, &member));
    assert_true(str_equal(member.client_id, STR_LITERAL("billing")));
    assert_int_equal(member.host.length, 0);
    assert_false(member_list_next(&rest, &member));
    member_list_free(&list);
}

static void test_is_bounded(void **state)
{
    (void)state;
    struct member_list list = {0};
    for (int i = 0; i < 10 * MEMBERS_LISTED; i++)
        add(&list, STR_LITERAL("billing"), STR_LITERAL("/10.0.0.1"), UNKNOWN);
    assert_int_equal(list.count, MEMBERS_LISTED);
    member_list_free(&list);
    static const char bytes[MEMBER_LIST_BYTES + 1];
    add(&list, (struct str){bytes, sizeof bytes}, STR_LITERAL(""), UNKNOWN);
    add(&list, STR_LITERAL(""), (struct str){bytes, sizeof bytes}, UNKNOWN);
    add(&list, (struct str){bytes, SIZE_MAX}, (struct str){bytes, SIZE_MAX}, UNKNOWN);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < MEMBERS_LISTED; i++)
        add(&list, (struct str){bytes, MEMBER_LIST_BYTES / 3}, STR_LITERAL("/10.0.0.1"), UNKNOWN);
    assert_int_equal(list.count, 2);
    assert_true(list.length <= MEMBER_LIST_BYTES);
    add(&list, STR_LITERAL("billing"), STR_LITERAL(""), UNKNOWN); /* for which there is still place */
    assert_int_equal(list.count, 3);
    member_list_free(&list);
}

/* --- on the page --------------------------------------------------------------------------------------- */

/* The page of a group that has `members` of which `list` tells; to be freed. */
static struct buf page_of(int64_t members, struct member_list *list)
{
    static const struct source_status status = {
        .cluster = "near", .kind = "kafka", .polled = true, .up = true};
    struct publish *publish = publish_new(&status, 1);
    struct history *history = history_new();
    struct rules rules = rules_default();
    struct snapshot *snapshot = snapshot_new();
    int64_t group = snapshot_add_group(snapshot, STR_LITERAL("billing"));
    snapshot->groups[group].members = members;
    snapshot->groups[group].member_list = snapshot_take_list(snapshot, list);
    snapshot_seal(snapshot, INT64_C(1764000000000));
    history_observe(history, snapshot);
    publish_poll(publish, 0, &status, snapshot, evaluate(history, snapshot, snapshot->time, &rules));
    struct view *view = publish_view(publish);
    struct buf page = buf_make(1 << 20);
    assert_true(html_add_group(&page, view, snapshot->time, STR_LITERAL("billing"), NULL));
    assert_true(buf_ok(&page));
    buf_add_char(&page, '\0');
    view_release(&view);
    history_free(&history);
    publish_free(&publish);
    return page;
}

static void test_a_hostile_member_stays_text(void **state)
{
    (void)state;
    struct member_list list = {0};
    add(&list, markup, STR_LITERAL("</table><script>"), UNKNOWN);
    struct buf page = page_of(1, &list);
    assert_non_null(strstr(page.bytes, "<span dir=auto>&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
    assert_non_null(strstr(page.bytes, "<span dir=auto>&lt;/table&gt;&lt;script&gt;</span>"));
    assert_null(strstr(page.bytes, "<img"));
    assert_null(strstr(page.bytes, "<script>"));
    assert_null(strstr(page.bytes, "more."));
    buf_free(&page);
}

static void test_says_what_each_has_to_do(void **state)
{
    (void)state;
    struct member_list list = {0};
    add(&list, STR_LITERAL("busy"), STR_LITERAL("/10.0.0.1"), 1200);
    add(&list, STR_LITERAL("idle"), STR_LITERAL("/10.0.0.2"), 0);
    add(&list, STR_LITERAL("joining"), STR_LITERAL("/10.0.0.3"), UNKNOWN);
    struct buf page = page_of(3, &list);
    assert_non_null(
        strstr(page.bytes, "/10.0.0.1</span></td><td class=n data-label=\"partitions\">1,200</td>"));
    assert_non_null(
        strstr(page.bytes, "/10.0.0.2</span></td><td class=n data-label=\"partitions\">none: idle</td>"));
    assert_non_null(strstr(page.bytes, "/10.0.0.3</span></td><td class=n data-label=\"partitions\"></td>"));
    buf_free(&page);
}

static void test_says_how_many_more_there_are(void **state)
{
    (void)state;
    struct member_list list = {0};
    for (int i = 0; i < 250; i++)
        add(&list, STR_LITERAL("worker"), STR_LITERAL("/10.0.0.1"), UNKNOWN);
    struct buf page = page_of(250, &list);
    assert_non_null(strstr(page.bytes, "<p>… and 150 more.</p>"));
    buf_free(&page);
    page = page_of(3, &list); /* who they are isn't known */
    assert_null(strstr(page.bytes, "<h2>Members</h2>"));
    assert_null(strstr(page.bytes, "more."));
    buf_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_back_what_was_added),    cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_a_hostile_member_stays_text),  cmocka_unit_test(test_says_what_each_has_to_do),
        cmocka_unit_test(test_says_how_many_more_there_are),
    };
    return cmocka_run_group_tests_name("snapshot_members", tests, NULL, NULL);
}
