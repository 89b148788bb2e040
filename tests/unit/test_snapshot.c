#include "exporter/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#define assert_str(str, text)                                                                                \
    do {                                                                                                     \
        assert_int_equal((str).length, strlen(text));                                                        \
        assert_memory_equal((str).bytes, text, strlen(text));                                                \
    } while (0)

/* Topics, groups and commits arrive in any order: sealed, they lie sorted in runs, and each position still
 * belongs to its own partition, topic and group. */
static void test_sealing_sorts(void **state)
{
    (void)state;
    struct snapshot *s = snapshot_new();
    uint32_t orders = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), 3);
    uint32_t audit = (uint32_t)snapshot_add_topic(s, STR_LITERAL("audit"), 2);
    for (uint32_t i = 0; i < 3; i++)
        s->partitions[s->topics[orders].first_partition + i].end = 100 + i;
    for (uint32_t i = 0; i < 2; i++)
        s->partitions[s->topics[audit].first_partition + i].end = 200 + i;
    uint32_t zebra = (uint32_t)snapshot_add_group(s, STR_LITERAL("zebra"));
    uint32_t ant = (uint32_t)snapshot_add_group(s, STR_LITERAL("ant"));
    assert_non_null(snapshot_add_position(s, zebra, orders, 2, 12));
    assert_non_null(snapshot_add_position(s, ant, orders, 1, 21));
    assert_non_null(snapshot_add_position(s, zebra, audit, 1, 31));
    assert_non_null(snapshot_add_position(s, zebra, orders, 0, 10));
    snapshot_seal(s, 5000);

    assert_int_equal(s->time, 5000);
    assert_str(s->topics[0].name, "audit");
    assert_str(s->topics[1].name, "orders");
    assert_str(s->groups[0].name, "ant");
    assert_int_equal(s->subscription_count, 3);
    assert_int_equal(s->position_count, 4);
    static const struct {
        const char *group, *topic;
        int32_t partition;
        int64_t committed, end;
    } expected[] = {
        {"ant", "orders", 1, 21, 101},
        {"zebra", "audit", 1, 31, 201},
        {"zebra", "orders", 0, 10, 100},
        {"zebra", "orders", 2, 12, 102},
    };
    size_t n = 0;
    for (uint32_t g = 0; g < s->group_count; g++) {
        for (uint32_t i = 0; i < s->groups[g].subscriptions; i++) {
            const struct snap_subscription *sub = &s->subscriptions[s->groups[g].first_subscription + i];
            assert_int_equal(sub->group, g);
            for (uint32_t p = 0; p < sub->positions; p++, n++) {
                const struct snap_position *position = &s->positions[sub->first_position + p];
                const struct snap_partition *partition = &s->partitions[position->partition];
                assert_str(s->groups[g].name, expected[n].group);
                assert_str(s->topics[sub->topic].name, expected[n].topic);
                assert_int_equal(partition->number, expected[n].partition);
                assert_int_equal(partition->end, expected[n].end);
                assert_int_equal(position->committed, expected[n].committed);
            }
        }
    }
    assert_int_equal(n, 4);
    assert_int_equal(snapshot_find_topic(s, STR_LITERAL("orders")), 1);
    assert_int_equal(snapshot_find_group(s, STR_LITERAL("zebra")), 1);
    assert_int_equal(snapshot_find_group(s, STR_LITERAL("zebr")), NO_INDEX);
    snapshot_free(&s);
    assert_null(s);
}

/* The source gives two groups and two topics names that are the same bytes: the second of each is left out
 * and counted. */
static void test_duplicate_names(void **state)
{
    (void)state;
    struct snapshot *s = snapshot_new();
    assert_int_equal(snapshot_add_topic(s, STR_LITERAL("t\0a"), 1), 0);
    assert_int_equal(snapshot_add_topic(s, STR_LITERAL("t"), 1), 1);
    assert_int_equal(snapshot_add_topic(s, STR_LITERAL("t"), 1), NO_INDEX);
    assert_int_equal(snapshot_add_group(s, STR_LITERAL("")), 0);
    assert_int_equal(snapshot_add_group(s, STR_LITERAL("")), NO_INDEX);
    snapshot_seal(s, 0);
    assert_int_equal(s->duplicate_names, 2);
    assert_int_equal(s->topic_count, 2);
    assert_int_equal(s->partition_count, 2);
    snapshot_free(&s);
}

/* A commit names a partition that its topic lacks, another one a topic that doesn't exist. */
static void test_orphans(void **state)
{
    (void)state;
    struct snapshot *s = snapshot_new();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("t"), 1);
    uint32_t b = (uint32_t)snapshot_add_group(s, STR_LITERAL("b"));
    snapshot_add_group(s, STR_LITERAL("a"));
    assert_null(snapshot_add_position(s, b, topic, 1, 0));
    assert_null(snapshot_add_position(s, b, topic, -1, 0));
    snapshot_add_orphan(s, b, STR_LITERAL("gone"), 7);
    snapshot_seal(s, 0);
    assert_int_equal(s->position_count, 0);
    assert_int_equal(s->orphan_count, 1);
    assert_str(s->groups[s->orphans[0].group].name, "b");
    assert_str(s->orphans[0].topic, "gone");
    snapshot_free(&s);
}

/* The same partition is committed twice within a group: one position remains. */
static void test_one_position_a_partition(void **state)
{
    (void)state;
    struct snapshot *s = snapshot_new();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("t"), 2);
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("g"));
    snapshot_add_position(s, group, topic, 1, 5);
    snapshot_add_position(s, group, topic, 0, 5);
    snapshot_add_position(s, group, topic, 1, 6);
    snapshot_seal(s, 0);
    assert_int_equal(s->position_count, 2);
    assert_int_equal(s->subscriptions[0].positions, 2);
    snapshot_free(&s);
}

/* There are ten thousand topics and as many groups, with names of all lengths: each is found, before and
 * after sealing. */
static void test_many_names(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    struct snapshot *s = snapshot_new();
    char name[300];
    for (int i = 0; i < MANY; i++) {
        int length = snprintf(name, sizeof name, "%0*d", 1 + i * 7 % 249, i);
        assert_int_equal(snapshot_add_topic(s, (struct str){name, (size_t)length}, 1), i);
        assert_int_equal(snapshot_add_group(s, (struct str){name, (size_t)length}), i);
    }
    char *long_name = malloc(100000);
    assert_non_null(long_name);
    memset(long_name, 'n', 100000);
    snapshot_add_group(s, (struct str){long_name, 100000});
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            int length = snprintf(name, sizeof name, "%0*d", 1 + i * 7 % 249, i);
            int64_t found = snapshot_find_topic(s, (struct str){name, (size_t)length});
            assert_true(found >= 0);
            assert_true(str_equal(s->topics[found].name, (struct str){name, (size_t)length}));
        }
        if (round == 0)
            snapshot_seal(s, 0);
    }
    assert_int_not_equal(snapshot_find_group(s, (struct str){long_name, 100000}), NO_INDEX);
    free(long_name);
    snapshot_free(&s);
}

/* Nothing was observed: the snapshot is empty, and is sealed and freed all the same. */
static void test_empty(void **state)
{
    (void)state;
    struct snapshot *s = snapshot_new();
    assert_int_equal(snapshot_find_topic(s, STR_LITERAL("t")), NO_INDEX);
    snapshot_seal(s, 0);
    assert_int_equal(s->position_count, 0);
    snapshot_free(&s);
    snapshot_free(&s);
}

/* Lag is what can still be read: from the commit or the start, whichever is later; unknown where it can't be
 * told. */
static void test_lag(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end, committed, lag;
    } cases[] = {
        {0, 100, 40, 60},
        {0, 100, 100, 0},
        {50, 100, 40, 50},      /* 10 are lost: they are no lag */
        {100, 100, 40, 0},      /* all is deleted */
        {0, 100, 101, UNKNOWN}, /* beyond the end is no healthy 0 */
        {UNKNOWN, 100, 40, UNKNOWN},
        {0, UNKNOWN, 40, UNKNOWN},
        {0, INT64_MAX, 0, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snap_partition partition = {.start = cases[i].start, .end = cases[i].end};
        struct snap_position position = {.committed = cases[i].committed};
        assert_true(position_lag(&partition, &position) == cases[i].lag);
    }
}

/* Names of states and policies go there and back. */
static void test_names(void **state)
{
    (void)state;
    for (int i = GROUP_STATE_UNKNOWN + 1; i < GROUP_STATES; i++)
        assert_int_equal(group_state_parse(str_of(group_state_name((enum group_state)i))), i);
    assert_int_equal(group_state_parse(STR_LITERAL("Dreaming")), GROUP_STATE_UNKNOWN);
    assert_int_equal(cleanup_policy_parse(STR_LITERAL("compact")), CLEANUP_COMPACT);
    assert_int_equal(cleanup_policy_parse(STR_LITERAL("compact,delete")), CLEANUP_COMPACT_DELETE);
    assert_int_equal(cleanup_policy_parse(STR_LITERAL("delete,compact")), CLEANUP_COMPACT_DELETE);
    assert_int_equal(cleanup_policy_parse(STR_LITERAL("shred")), CLEANUP_UNKNOWN);
    assert_null(cleanup_policy_name(CLEANUP_UNKNOWN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealing_sorts), cmocka_unit_test(test_duplicate_names),
        cmocka_unit_test(test_orphans),       cmocka_unit_test(test_one_position_a_partition),
        cmocka_unit_test(test_many_names),    cmocka_unit_test(test_empty),
        cmocka_unit_test(test_lag),           cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
