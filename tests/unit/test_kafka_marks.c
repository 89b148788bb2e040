#include "collectors/kafka/marks.h"

#include "collectors/kafka/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* One topic of two partitions, each with the records [start, end), and a group's commits: -1 for none. */
static struct snapshot *observed(int64_t start, int64_t end, int64_t committed_0, int64_t committed_1)
{
    struct snapshot *s = snapshot_new();
    snapshot_add_topic(s, STR_LITERAL("orders"), 2);
    snapshot_add_group(s, STR_LITERAL("billing"));
    for (int i = 0; i < 2; i++) {
        s->partitions[i].start = start;
        s->partitions[i].end = end;
    }
    if (committed_0 >= 0)
        snapshot_add_position(s, 0, 0, 0, committed_0);
    if (committed_1 >= 0)
        snapshot_add_position(s, 0, 0, 1, committed_1);
    snapshot_seal(s, 1000);
    return s;
}

static void follow(struct kafka_marks *marks, int64_t start, int64_t end, int64_t committed)
{
    struct snapshot *s = observed(start, end, committed, -1);
    kafka_marks_follow(marks, s);
    snapshot_free(&s);
}

/* A group has something unread on one partition and nothing on the other, which is wanted for its start only;
 * the start and a commit below it are the same record. */
static void test_wants_first_unread_records(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    struct snapshot *s = observed(10, 20, 4, 20);
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 2);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 10);
    assert_int_equal(kafka_marks_wanted(&marks, 1)->offset, 10);
    kafka_marks_settle(&marks, 0, 10, 777);
    kafka_marks_fill(&marks, s);
    assert_int_equal(s->positions[0].next_ts, 777);
    assert_int_equal(s->partitions[0].start_ts, 777);
    assert_true(s->positions[1].next_ts == UNKNOWN);
    snapshot_free(&s);
    kafka_marks_free(&marks);
}

/* A partition on which nobody has committed, one that is empty, one whose end is unknown and one that was
 * committed beyond its end. */
static void test_wants_nothing_where_nothing_is_unread(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    struct snapshot *s = observed(0, 20, -1, -1);
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 0);
    snapshot_free(&s);
    s = observed(20, 20, 20, 5);
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 0);
    snapshot_free(&s);
    s = observed(0, UNKNOWN, 3, 5);
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 0);
    snapshot_free(&s);
    s = observed(0, 10, 30, -1);
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 1); /* the start */
    kafka_marks_fill(&marks, s);
    snapshot_free(&s);
    kafka_marks_free(&marks);
}

/* Compaction took the records 5 to 7: the first one at or after 5 is 8. */
static void test_settles_across_a_gap(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    struct snapshot *s = observed(0, 10, 5, -1);
    kafka_marks_follow(&marks, s);
    kafka_marks_settle(&marks, 0, 0, 100);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 5);
    kafka_marks_settle(&marks, 0, 1, 101);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 5);
    kafka_marks_settle(&marks, 0, 8, 108);
    assert_null(kafka_marks_wanted(&marks, 0));
    kafka_marks_settle(&marks, 0, 9, 109);
    kafka_marks_fill(&marks, s);
    assert_int_equal(s->partitions[0].start_ts, 100);
    assert_int_equal(s->positions[0].next_ts, 108);
    snapshot_free(&s);
    kafka_marks_free(&marks);
}

/* What was found stays known while it is wanted, also when records are added; a commit that moves on wants
 * another record. */
static void test_keeps_what_was_found(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    follow(&marks, 0, 10, 5);
    kafka_marks_settle(&marks, 0, 0, 100);
    kafka_marks_settle(&marks, 0, 5, 105);
    follow(&marks, 0, 12, 5);
    assert_null(kafka_marks_wanted(&marks, 0));
    assert_int_equal(marks.items[1].timestamp, 105);
    follow(&marks, 0, 12, 6);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 6);
    kafka_marks_free(&marks);
}

/* The partition ends earlier than in the last poll: it was truncated, or made again, and holds other records.
 */
static void test_forgets_records_of_before_a_truncation(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    follow(&marks, 0, 10, 5);
    kafka_marks_settle(&marks, 0, 5, 105);
    follow(&marks, 0, 8, 5);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 0);
    assert_int_equal(marks.items[1].state, KAFKA_MARK_WANTED);
    kafka_marks_free(&marks);
}

/* Behind the commit there is only the marker of a transaction: nothing is there until something is written.
 */
static void test_nothing_is_known_until_the_end_moves(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    follow(&marks, 0, 6, 5);
    kafka_marks_settle(&marks, 0, 0, 100);
    kafka_marks_settle_end(&marks, 0, 6);
    assert_null(kafka_marks_wanted(&marks, 0));
    assert_true(marks.items[1].timestamp == UNKNOWN);
    follow(&marks, 0, 6, 5);
    assert_null(kafka_marks_wanted(&marks, 0));
    follow(&marks, 0, 7, 5);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 5);
    kafka_marks_free(&marks);
}

/* Between two polls a topic comes before the known one and another one goes. */
static void test_follows_topics_that_come_and_go(void **state)
{
    (void)state;
    struct kafka_layout layout = {0};
    uint64_t gone = 0;
    struct snapshot *s = snapshot_new();
    snapshot_add_topic(s, STR_LITERAL("apples"), 2);
    snapshot_add_topic(s, STR_LITERAL("orders"), 3);
    free(kafka_layout_follow(&layout, s, &gone));
    assert_null(kafka_layout_follow(&layout, s, &gone));
    layout.topics[0].sampled = 1;
    layout.topics[1].sampled = 7;
    snapshot_free(&s);
    s = snapshot_new();
    snapshot_add_topic(s, STR_LITERAL("bananas"), 1);
    snapshot_add_topic(s, STR_LITERAL("clicks"), 4);
    snapshot_add_topic(s, STR_LITERAL("orders"), 2);
    uint32_t *moved = kafka_layout_follow(&layout, s, &gone);
    static const uint32_t expected[] = {KAFKA_GONE, KAFKA_GONE, 5, 6, KAFKA_GONE};
    assert_non_null(moved);
    assert_memory_equal(moved, expected, sizeof expected);
    assert_int_equal(gone, 1);
    assert_string_equal(layout.topics[2].name, "orders");
    assert_int_equal(layout.topics[0].sampled, 0);
    assert_int_equal(layout.topics[2].sampled, 7);

    struct kafka_marks marks = {0};
    struct snapshot *before = observed(0, 10, 5, 7); /* its partitions have the indexes that "apples" had */
    kafka_marks_follow(&marks, before);
    const uint32_t to[] = {KAFKA_GONE, 6};
    kafka_marks_move(&marks, to);
    assert_int_equal(marks.count, 2);
    assert_int_equal(marks.items[0].partition, 6);
    assert_int_equal(marks.items[1].offset, 7);
    snapshot_free(&before);
    kafka_marks_free(&marks);
    free(moved);
    snapshot_free(&s);
    kafka_layout_free(&layout);
}

/* Nobody has committed on either partition; on one a transaction that began at offset 14 is open, and then
 * ends. */
static void test_wants_the_first_record_of_an_open_transaction(void **state)
{
    (void)state;
    struct kafka_marks marks = {0};
    struct snapshot *s = observed(10, 20, -1, -1);
    s->partitions[0].last_stable = 14;
    s->partitions[1].last_stable = 20;
    kafka_marks_follow(&marks, s);
    assert_int_equal(marks.count, 1);
    assert_int_equal(kafka_marks_wanted(&marks, 0)->offset, 14);
    kafka_marks_settle(&marks, 0, 14, 777);
    kafka_marks_fill(&marks, s);
    assert_int_equal(s->partitions[0].open_txn_since, 777);
    assert_true(s->partitions[1].open_txn_since == UNKNOWN);
    snapshot_free(&s);
    s = observed(10, 21, -1, -1);
    s->partitions[0].last_stable = 21;
    kafka_marks_follow(&marks, s);
    kafka_marks_fill(&marks, s);
    assert_int_equal(marks.count, 0);
    assert_true(s->partitions[0].open_txn_since == UNKNOWN);
    snapshot_free(&s);
    kafka_marks_free(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wants_first_unread_records),
        cmocka_unit_test(test_wants_nothing_where_nothing_is_unread),
        cmocka_unit_test(test_settles_across_a_gap),
        cmocka_unit_test(test_keeps_what_was_found),
        cmocka_unit_test(test_forgets_records_of_before_a_truncation),
        cmocka_unit_test(test_nothing_is_known_until_the_end_moves),
        cmocka_unit_test(test_follows_topics_that_come_and_go),
        cmocka_unit_test(test_wants_the_first_record_of_an_open_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
