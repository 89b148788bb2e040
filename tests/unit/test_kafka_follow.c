#include "collectors/kafka/commit_set.h"
#include "collectors/kafka/group_record.h"
#include "collectors/kafka/replica.h"
#include "exporter/base/buf.h"
#include "exporter/snapshot_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- bytes --------------------------------------------------------------------------------------------- */

/* What the hexadecimal digits say, for as long as the test runs. */
static struct str bytes_of(struct buf *out, const char *digits)
{
    buf_reset(out);
    for (; *digits != '\0'; digits += 2) {
        unsigned byte;
        assert_int_equal(sscanf(digits, "%2x", &byte), 1);
        buf_add_char(out, (char)byte);
    }
    return buf_str(out);
}

static void add_number(struct buf *out, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        buf_add_char(out, (char)(value >> 8 * bytes));
}

static void add_string(struct buf *out, const char *text)
{
    add_number(out, strlen(text), 2);
    buf_add_text(out, text);
}

static struct str commit_key(struct buf *out, int kind, const char *group, const char *topic, int partition)
{
    buf_reset(out);
    add_number(out, (uint64_t)kind, 2);
    add_string(out, group);
    add_string(out, topic);
    add_number(out, (uint64_t)partition, 4);
    return buf_str(out);
}

/* As a broker of that version writes it. */
static struct str commit_value(struct buf *out, int version, int64_t offset, int64_t time)
{
    buf_reset(out);
    add_number(out, (uint64_t)version, 2);
    add_number(out, (uint64_t)offset, 8);
    if (version >= 3)
        add_number(out, 5, 4);
    if (version >= 4)
        buf_add(out, "\x03hi", 3);
    else
        add_string(out, "hi");
    add_number(out, (uint64_t)time, 8);
    if (version == 1)
        add_number(out, 99, 8);
    if (version >= 4) { /* one tagged field: the topic's id */
        buf_add(out, "\x01\x00\x10", 3);
        buf_add(out, "0123456789abcdef", 16);
    }
    return buf_str(out);
}

struct bytes {
    struct buf key, value;
};

static int make_bytes(void **state)
{
    struct bytes *bytes = test_malloc(sizeof *bytes);
    *bytes = (struct bytes){buf_make(SIZE_MAX), buf_make(SIZE_MAX)};
    *state = bytes;
    return 0;
}

static int free_bytes(void **state)
{
    struct bytes *bytes = *state;
    buf_free(&bytes->key);
    buf_free(&bytes->value);
    test_free(bytes);
    return 0;
}

static const struct str none = {NULL, 0};

/* --- records ------------------------------------------------------------------------------------------- */

/* A commit in each version that brokers from 0.8 to 4.3 write, under both kinds of keys. */
static void test_reads_every_version_of_a_commit(void **state)
{
    struct bytes *bytes = *state;
    for (int version = 0; version <= 4; version++) {
        struct kafka_group_record record =
            kafka_group_record_read(commit_key(&bytes->key, version == 0 ? 0 : 1, "billing", "orders", 7),
                                    commit_value(&bytes->value, version, 123456789012, 1764000000123));
        assert_int_equal(record.kind, KAFKA_RECORD_COMMIT);
        assert_false(record.is_gone);
        assert_true(str_equal(record.group, STR_LITERAL("billing")));
        assert_true(str_equal(record.commit.topic, STR_LITERAL("orders")));
        assert_int_equal(record.commit.partition, 7);
        assert_int_equal(record.commit.offset, 123456789012);
        assert_int_equal(record.commit.time, 1764000000123);
    }
}

static void assert_unknown_commit(struct kafka_group_record record)
{
    assert_int_equal(record.kind, KAFKA_RECORD_UNKNOWN_COMMIT);
    assert_true(str_equal(record.group, STR_LITERAL("billing")));
}

/* A later version, an earlier one, a negative offset and a negative partition: it is known whose they are. */
static void test_refuses_commits_that_it_does_not_know(void **state)
{
    struct bytes *bytes = *state;
    struct str key = commit_key(&bytes->key, 1, "billing", "orders", 7);
    assert_unknown_commit(kafka_group_record_read(key, commit_value(&bytes->value, 5, 1, 1)));
    assert_unknown_commit(kafka_group_record_read(key, commit_value(&bytes->value, -1, 1, 1)));
    assert_unknown_commit(kafka_group_record_read(key, commit_value(&bytes->value, 3, -1, 1)));
    key = commit_key(&bytes->key, 1, "billing", "orders", -7);
    assert_unknown_commit(kafka_group_record_read(key, commit_value(&bytes->value, 3, 1, 1)));
}

/* Each record cut at each place: never taken for whole. */
static void test_takes_no_record_that_is_cut(void **state)
{
    struct bytes *bytes = *state;
    for (int version = 0; version <= 4; version++) {
        struct str key = commit_key(&bytes->key, 1, "billing", "orders", 7);
        struct str value = commit_value(&bytes->value, version, 5, 6);
        for (size_t length = 0; length < value.length; length++)
            assert_unknown_commit(kafka_group_record_read(key, (struct str){value.bytes, length}));
        for (size_t length = 0; length < key.length; length++)
            assert_int_equal(kafka_group_record_read((struct str){key.bytes, length}, value).kind,
                             KAFKA_RECORD_UNKNOWN);
    }
}

/* A share group's record, one of a kind that nobody knows, a record without a key, and what a group
 * subscribes to.
 */
static void test_tells_foreign_records_from_unknown_ones(void **state)
{
    (void)state;
    assert_int_equal(kafka_group_record_read((struct str){"\0\013\0\1s", 5}, none).kind,
                     KAFKA_RECORD_FOREIGN);
    assert_int_equal(kafka_group_record_read((struct str){"\0\004\0\1s", 5}, none).kind,
                     KAFKA_RECORD_FOREIGN);
    assert_int_equal(kafka_group_record_read((struct str){"\3\011\0\1s", 5}, none).kind,
                     KAFKA_RECORD_UNKNOWN);
    assert_int_equal(kafka_group_record_read((struct str){"\377\377\0\1s", 5}, none).kind,
                     KAFKA_RECORD_UNKNOWN);
    assert_int_equal(kafka_group_record_read(none, none).kind, KAFKA_RECORD_UNKNOWN);
}

/* Bytes as Kafka 4.3.1 wrote them after a rebalance of one member, and when that had left. */
static const char classic_group[] =
    "00030008636f6e73756d657200000003000572616e67650016634745466475506654396d546f373651746f46614d"
    "51000001a20be41f2a000000010016634745466475506654396d546f373651746f46614d51ffff0010636f6e73"
    "6f6c652d636f6e73756d6572000a2f3132372e302e302e31000493e00000afc800000017000300000001000174"
    "ffffffff00000000ffffffffffff0000000a000300000000ffffffff",
                  empty_classic_group[] = "00030008636f6e73756d657200000004ffffffff000001a20be4232100000000";

static void test_reads_a_classic_group(void **state)
{
    struct bytes *bytes = *state;
    struct str key = bytes_of(&bytes->key, "0002000167");
    struct kafka_group_record record = kafka_group_record_read(key, bytes_of(&bytes->value, classic_group));
    assert_int_equal(record.kind, KAFKA_RECORD_CLASSIC);
    assert_true(record.classic.is_of_consumers);
    assert_int_equal(record.classic.generation, 3);
    assert_int_equal(record.classic.state_since, 0x01a20be41f2a);
    assert_int_equal(record.classic.members.count, 1);
    assert_int_equal(record.classic.members.with_instance, 0);
    assert_int_equal(record.classic.members.idle, 1);
    assert_int_equal(record.classic.members.rebalance_timeout_ms, 300000);
    assert_int_equal(record.classic.members.session_timeout_ms, 45000);
    struct kafka_classic_member member;
    assert_true(kafka_classic_next(&record.classic.list, &member));
    assert_true(str_equal(member.client_id, STR_LITERAL("console-consumer")));
    assert_true(str_equal(member.host, STR_LITERAL("/127.0.0.1")));
    assert_int_equal(member.rebalance_timeout_ms, 300000);
    assert_int_equal(member.session_timeout_ms, 45000);
    assert_int_equal(member.assigned, 0);
    assert_false(member.has_instance);
    assert_false(kafka_classic_next(&record.classic.list, &member));
    record = kafka_group_record_read(key, bytes_of(&bytes->value, empty_classic_group));
    assert_int_equal(record.classic.generation, 4);
    assert_int_equal(record.classic.members.count, 0);
    assert_int_equal(record.classic.members.session_timeout_ms, -1);
    assert_false(kafka_classic_next(&record.classic.list, &member));
}

/* Bytes as Kafka 4.3.1 wrote them for a member of the new protocol and one of the classic protocol, both in
 * one group. */
static void test_reads_members_of_the_new_protocol(void **state)
{
    struct bytes *bytes = *state;
    struct str key = bytes_of(&bytes->key, "00050001670003626f62");
    struct kafka_group_record record = kafka_group_record_read(
        key, bytes_of(&bytes->value,
                      "0000000011636f6e736f6c652d636f6e73756d65720b2f3132372e302e302e310202740100049"
                      "3e00001000100"));
    assert_int_equal(record.kind, KAFKA_RECORD_MEMBER);
    assert_true(str_equal(record.member.id, STR_LITERAL("bob")));
    assert_true(str_equal(record.member.client_id, STR_LITERAL("console-consumer")));
    assert_true(str_equal(record.member.host, STR_LITERAL("/127.0.0.1")));
    assert_false(record.member.has_instance);
    assert_int_equal(record.member.rebalance_timeout_ms, 300000);
    assert_int_equal(record.member.session_timeout_ms, -1);
    record = kafka_group_record_read(
        key,
        bytes_of(&bytes->value,
                 "0000000011636f6e736f6c652d636f6e73756d65720b2f3132372e302e302e3102027401000493e00001005601"
                 "0000afc8030672616e676518000300000001000174ffffffff00000000ffffffffffff0013636f6f7065726174"
                 "6976652d737469636b791c00030000000100017400000004ffffffff00000000ffffffffffff0000"));
    assert_int_equal(record.kind, KAFKA_RECORD_MEMBER);
    assert_int_equal(record.member.session_timeout_ms, 45000);
    key = bytes_of(&bytes->key, "00080001670003626f62");
    record = kafka_group_record_read(
        key, bytes_of(&bytes->value,
                      "000000000002000000000002c484c45c3f984503af8b95f444ad303e020000000001000502000"
                      "000020100"));
    assert_int_equal(record.kind, KAFKA_RECORD_ASSIGNMENT);
    assert_true(record.assignment.assigned > 0);
    record = kafka_group_record_read(key, bytes_of(&bytes->value, "0000000000030000000000010100"));
    assert_int_equal(record.kind, KAFKA_RECORD_ASSIGNMENT);
    assert_int_equal(record.assignment.assigned, 0);
    record = kafka_group_record_read(bytes_of(&bytes->key, "0003000167"),
                                     bytes_of(&bytes->value, "000000000003010008203433056bbd74e1"));
    assert_int_equal(record.kind, KAFKA_RECORD_EPOCH);
    assert_int_equal(record.epoch.epoch, 3);
}

/* --- commits ------------------------------------------------------------------------------------------- */

/* Thousands of positions in an order that jumps about, each set several times and some taken away, against an
 * array that is too simple to be wrong. */
static void test_a_set_of_commits_is_what_was_set_last(void **state)
{
    (void)state;
    enum { TOPICS = 7, PARTITIONS = 900, STEPS = 60000 };
    static int64_t model[TOPICS][PARTITIONS];
    struct kafka_commit_set set = {0};
    unsigned seed = 20261124;
    for (int t = 0; t < TOPICS; t++)
        for (int p = 0; p < PARTITIONS; p++)
            model[t][p] = -1;
    for (int i = 0; i < STEPS; i++) {
        int t = rand_r(&seed) % TOPICS, p = rand_r(&seed) % PARTITIONS;
        model[t][p] = rand_r(&seed) % 5 == 0 ? -1 : i;
        kafka_commit_set_at(&set, (uint32_t)t, p)->offset = model[t][p];
        if (i % 9000 == 0)
            kafka_commit_set_tidy(&set);
    }
    kafka_commit_set_tidy(&set);
    size_t at = 0;
    for (int t = 0; t < TOPICS; t++) {
        for (int p = 0; p < PARTITIONS; p++) {
            const struct kafka_commit *found = kafka_commit_set_find(&set, (uint32_t)t, p);
            assert_true((found == NULL) == (model[t][p] < 0));
            if (found == NULL)
                continue;
            assert_int_equal(found->offset, model[t][p]);
            assert_ptr_equal(found, &set.items[at++]);
        }
    }
    assert_int_equal(at, set.count);
    kafka_commit_set_free(&set);
}

/* --- the replica --------------------------------------------------------------------------------------- */

static void take_commit(struct kafka_replica *replica, struct bytes *bytes, const char *group,
                        const char *topic, int64_t offset)
{
    kafka_replica_take(replica, 1, commit_key(&bytes->key, 1, group, topic, 0),
                       offset < 0 ? none : commit_value(&bytes->value, 3, offset, 1000));
}

/* Of a version that nobody knows yet. */
static void take_later_commit(struct kafka_replica *replica, struct bytes *bytes, const char *group)
{
    kafka_replica_take(replica, 1, commit_key(&bytes->key, 1, group, "orders", 0),
                       commit_value(&bytes->value, 5, 9, 1000));
}

/* A group commits on two topics, one of which is then deleted; another group goes for good, and a topic comes
 * that takes the number of the one that nobody has commits on any more. */
static void test_the_replica_forgets_what_is_no_more(void **state)
{
    struct bytes *bytes = *state;
    struct source_config config = {0};
    struct kafka_replica *replica = kafka_replica_new(&config);
    take_commit(replica, bytes, "billing", "orders", 5);
    take_commit(replica, bytes, "billing", "clicks", 6);
    take_commit(replica, bytes, "mailer", "clicks", 7);
    take_commit(replica, bytes, "billing", "clicks", -1);
    assert_int_equal(kafka_replica_find(replica, STR_LITERAL("billing"))->positions, 1);
    take_commit(replica, bytes, "mailer", "clicks", -1);
    assert_null(kafka_replica_find(replica, STR_LITERAL("mailer")));
    take_commit(replica, bytes, "billing", "payments", 9);
    assert_int_equal(kafka_replica_topics(replica), 2);
    struct kafka_replica_group *group = kafka_replica_find(replica, STR_LITERAL("billing"));
    kafka_commit_set_tidy(&group->commits);
    assert_int_equal(group->commits.count, 2);
    assert_int_equal(kafka_replica_commit(replica, group, STR_LITERAL("payments"), 0)->offset, 9);
    assert_int_equal(kafka_replica_commit(replica, group, STR_LITERAL("orders"), 0)->offset, 5);
    assert_null(kafka_replica_commit(replica, group, STR_LITERAL("clicks"), 0));
    take_commit(replica, bytes, "nobody", "orders", -1); /* a tombstone of what was never there */
    assert_null(kafka_replica_find(replica, STR_LITERAL("nobody")));
    kafka_replica_tidy(replica);
    assert_int_equal(group->commits.count, 2);
    assert_int_equal(group->commits.fresh_count, 0);
    assert_int_equal(kafka_replica_commit(replica, group, STR_LITERAL("payments"), 0)->offset, 9);
    assert_int_equal(kafka_replica_take_unknown(replica), 0);
    kafka_replica_take(replica, 1, none, none);
    assert_int_equal(kafka_replica_take_unknown(replica), 1);
    assert_int_equal(kafka_replica_take_unknown(replica), 0);
    kafka_replica_free(&replica);
}

/* A commit that isn't understood, of a group that is known and of one that isn't, and what ends the doubt;
 * other records that aren't understood, and tombstones, raise none. */
static void test_the_replica_doubts_a_group_whose_commit_it_does_not_understand(void **state)
{
    struct bytes *bytes = *state;
    struct source_config config = {0};
    struct kafka_replica *replica = kafka_replica_new(&config);
    take_commit(replica, bytes, "billing", "orders", 5);
    kafka_replica_take(replica, 1, bytes_of(&bytes->key, "0002000762696c6c696e67"), STR_LITERAL("?"));
    kafka_replica_take(replica, 1, commit_key(&bytes->key, 1, "nobody", "orders", -1), none);
    struct kafka_replica_group *billing = kafka_replica_find(replica, STR_LITERAL("billing"));
    assert_false(billing->is_doubted);
    assert_null(kafka_replica_find(replica, STR_LITERAL("nobody")));
    take_later_commit(replica, bytes, "billing");
    take_later_commit(replica, bytes, "mailer");
    assert_true(billing->is_doubted);
    assert_int_equal(kafka_replica_commit(replica, billing, STR_LITERAL("orders"), 0)->offset, 5);
    struct kafka_replica_group *mailer = kafka_replica_find(replica, STR_LITERAL("mailer"));
    assert_true(mailer->is_doubted);
    assert_int_equal(mailer->log_partition, 1);
    take_commit(replica, bytes, "mailer", "orders", -1);
    assert_ptr_equal(kafka_replica_find(replica, STR_LITERAL("mailer")), mailer);
    assert_int_equal(kafka_replica_take_unknown(replica), 4);
    kafka_replica_trust(replica, mailer);
    assert_null(kafka_replica_find(replica, STR_LITERAL("mailer")));
    kafka_replica_trust(replica, billing);
    assert_false(kafka_replica_find(replica, STR_LITERAL("billing"))->is_doubted);
    kafka_replica_free(&replica);
}

static void assert_one_console_consumer(struct str list)
{
    struct member member;
    assert_true(member_list_next(&list, &member));
    assert_true(str_equal(member.client_id, STR_LITERAL("console-consumer")));
    assert_true(str_equal(member.host, STR_LITERAL("/127.0.0.1")));
    assert_false(member_list_next(&list, &member));
}

/* Members of the new protocol come, are assigned something, and go; then the group itself. */
static void test_the_replica_knows_the_members(void **state)
{
    struct bytes *bytes = *state;
    struct source_config config = {0};
    struct kafka_replica *replica = kafka_replica_new(&config);
    static const char declared[] =
        "0000000011636f6e736f6c652d636f6e73756d65720b2f3132372e302e302e3102027401000493e00"
        "001000100";
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0003000167"),
                       bytes_of(&bytes->value, "000000000003010008203433056bbd74e1"));
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "00050001670001627a"), none); /* cut: ignored */
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "000500016700017a"),
                       bytes_of(&bytes->value, declared));
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0005000167000161"),
                       bytes_of(&bytes->value, declared));
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0008000167000161"),
                       bytes_of(&bytes->value,
                                "000000000002000000000002c484c45c3f984503af8b95f444ad303e02000000000100"
                                "0502000000020100"));
    struct kafka_replica_group *group = kafka_replica_find(replica, STR_LITERAL("g"));
    assert_int_equal(group->epoch, 3);
    assert_int_equal(group->member_count, 2);
    assert_true(group->members[0].assigned > 0);
    assert_int_equal(group->members[1].assigned, 0);
    assert_one_console_consumer(group->members[0].name);
    assert_one_console_consumer(group->members[1].name);
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0008000167000161"), none);
    assert_int_equal(group->members[0].assigned, 0);
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0005000167000161"), none);
    assert_int_equal(group->member_count, 1);
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "000500016700017a"), none);
    kafka_replica_take(replica, 0, bytes_of(&bytes->key, "0003000167"), none);
    assert_null(kafka_replica_find(replica, STR_LITERAL("g")));
    kafka_replica_free(&replica);
}

/* A classic group of one member, which is there twice, and leaves. */
static void test_the_replica_knows_who_is_in_a_classic_group(void **state)
{
    struct bytes *bytes = *state;
    struct source_config config = {0};
    struct kafka_replica *replica = kafka_replica_new(&config);
    struct str key = bytes_of(&bytes->key, "0002000167");
    for (int rebalances = 0; rebalances < 2; rebalances++) {
        kafka_replica_take(replica, 0, key, bytes_of(&bytes->value, classic_group));
        assert_one_console_consumer(kafka_replica_find(replica, STR_LITERAL("g"))->classic_list);
    }
    kafka_replica_take(replica, 0, key, bytes_of(&bytes->value, empty_classic_group));
    assert_int_equal(kafka_replica_find(replica, STR_LITERAL("g"))->classic_list.length, 0);
    kafka_replica_free(&replica);
}

/* The filters let one group and one topic through. */
static void test_the_replica_keeps_only_what_is_wanted(void **state)
{
    struct bytes *bytes = *state;
    struct error error = {0};
    struct source_config config = {0};
    assert_true(name_filter_add(&config.groups, FILTER_INCLUDE, "billing", &error));
    assert_true(name_filter_add(&config.topics, FILTER_EXCLUDE, "clicks", &error));
    struct kafka_replica *replica = kafka_replica_new(&config);
    take_commit(replica, bytes, "mailer", "orders", 5);
    take_commit(replica, bytes, "billing", "clicks", 5);
    assert_null(kafka_replica_find(replica, STR_LITERAL("mailer")));
    assert_null(kafka_replica_find(replica, STR_LITERAL("billing")));
    take_commit(replica, bytes, "billing", "orders", 5);
    assert_int_equal(kafka_replica_find(replica, STR_LITERAL("billing"))->positions, 1);
    kafka_replica_free(&replica);
    name_filter_free(&config.groups);
    name_filter_free(&config.topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_every_version_of_a_commit, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_refuses_commits_that_it_does_not_know, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_takes_no_record_that_is_cut, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_tells_foreign_records_from_unknown_ones, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_reads_a_classic_group, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_reads_members_of_the_new_protocol, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_a_set_of_commits_is_what_was_set_last, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_the_replica_forgets_what_is_no_more, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_the_replica_doubts_a_group_whose_commit_it_does_not_understand,
                                        make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_the_replica_knows_the_members, make_bytes, free_bytes),
        cmocka_unit_test_setup_teardown(test_the_replica_knows_who_is_in_a_classic_group, make_bytes,
                                        free_bytes),
        cmocka_unit_test_setup_teardown(test_the_replica_keeps_only_what_is_wanted, make_bytes, free_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
