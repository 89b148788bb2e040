#include "collectors/kafka/commits.h"
#include "collectors/kafka/offsets.h"
#include "collectors/kafka/records.h"
#include "exporter/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <librdkafka/rdkafka_mock.h>

/* Requests to librdkafka's mock cluster, which can be told to answer with any error. It doesn't know how to
 * list groups, so these are given. Numbers of requests: https://kafka.apache.org/protocol#protocol_api_keys
 */
enum { LIST_OFFSETS = 2, OFFSET_FETCH = 9, PARTITIONS = 4 };

enum { PATIENCE_MS = 60000 }; /* for what takes moments, until it is given up, on a busy machine */

struct fixture {
    rd_kafka_t *handle; /* what the mock cluster lives in */
    rd_kafka_mock_cluster_t *cluster;
    struct source_config config;
    struct poll_report report;
    struct kafka_poll poll;
    struct kafka_layout layout;
    struct kafka_groups groups;
};

/* A cluster with two topics that nobody has written to, and a group. */
static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(struct fixture);
    struct error error = {0};
    f->handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), NULL, 0);
    f->cluster = rd_kafka_mock_cluster_new(f->handle, 1);
    rd_kafka_mock_topic_create(f->cluster, "clicks", PARTITIONS, 1);
    rd_kafka_mock_topic_create(f->cluster, "orders", PARTITIONS, 1);
    f->config.address = mem_copy_text(rd_kafka_mock_cluster_bootstraps(f->cluster));
    f->config.timeout_ms = PATIENCE_MS;
    f->poll = (struct kafka_poll){
        .config = &f->config,
        .client = kafka_client_new(&f->config, KAFKA_ADMIN, &error),
        .stable = kafka_client_new(&f->config, KAFKA_STABLE, &error),
        .snapshot = snapshot_new(),
        .report = &f->report,
    };
    assert_non_null(f->poll.client);
    assert_non_null(f->poll.stable);
    assert_true(kafka_read_metadata(&f->poll, &error));
    free(kafka_layout_follow(&f->layout, f->poll.snapshot, &(uint64_t){0}));
    f->groups = (struct kafka_groups){.items = MEM_NEW(struct kafka_group), .count = 1};
    f->groups.items[0].name = mem_copy_text("billing");
    snapshot_add_group(f->poll.snapshot, STR_LITERAL("billing"));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    snapshot_free(&f->poll.snapshot);
    kafka_client_free(&f->poll.client);
    kafka_client_free(&f->poll.stable);
    kafka_groups_free(&f->groups);
    kafka_layout_free(&f->layout);
    error_clear(&f->report.first_error);
    free(f->config.address);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->handle);
    free(f);
    return 0;
}

/* How many partitions have a known end. */
static size_t known_ends(const struct snapshot *snapshot)
{
    size_t known = 0;
    for (uint32_t i = 0; i < snapshot->partition_count; i++)
        known += snapshot->partitions[i].end == 0;
    return known;
}

static bool list_ends(struct fixture *f, struct error *error)
{
    struct kafka_lister *lister = kafka_lister_new(&f->poll, &f->layout);
    bool done = kafka_list_ends(lister, error);
    kafka_lister_free(&lister);
    return done;
}

/* All is well. */
static void test_ends_are_listed(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    assert_true(list_ends(f, &error));
    assert_int_equal(known_ends(f->poll.snapshot), 2 * PARTITIONS);
    assert_int_equal(f->report.errors[STAGE_END_OFFSETS], 0);
}

/* The first request fails, and so does the one about the first topic, which has just been deleted. */
static void test_a_topic_that_fails_costs_only_itself(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 2, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_true(list_ends(f, &error));
    assert_int_equal(known_ends(f->poll.snapshot), PARTITIONS);
    assert_true(f->poll.snapshot->partitions[0].end == UNKNOWN);
    assert_int_equal(f->report.errors[STAGE_END_OFFSETS], 1);
    assert_non_null(strstr(error_text(&f->report.first_error), "topic \"clicks\""));
}

/* Requests fail in the way that clients don't always get over: nothing is invented, and a new client is asked
 * for. */
static void test_a_stale_client_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    for (int i = 0; i < 100; i++)
        rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 1,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_false(list_ends(f, &error));
    assert_int_equal(known_ends(f->poll.snapshot), 0);
    assert_true(f->poll.stale);
    error_clear(&error);
}

/* A producer sorts the records of a topic that it has not learnt of into partitions one by one, when it does:
 * a flush that has begun by then sends the first of them alone. */
static void learn_topic(rd_kafka_t *producer, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
    assert_non_null(topic);
    assert_int_equal(rd_kafka_metadata(producer, 0, topic, &metadata, PATIENCE_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

/* Five records, a second apart, the first two with a key. */
static void produce(struct fixture *f)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", f->config.address, NULL, 0),
                     RD_KAFKA_CONF_OK);
    /* All in one batch, so that whoever reads one gets the others too: nothing is sent before the flush,
     * however long a busy machine takes until then. */
    assert_int_equal(rd_kafka_conf_set(conf, "linger.ms", "100000", NULL, 0), RD_KAFKA_CONF_OK);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    learn_topic(producer, "orders");
    for (int64_t i = 0; i < 5; i++) {
        const rd_kafka_vu_t record[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = "orders"},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 2},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = i < 2 ? "k" : NULL, .size = i < 2}},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = "v", .size = 1}},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = 1000 * (i + 1)},
        };
        assert_null(rd_kafka_produceva(producer, record, sizeof record / sizeof *record));
    }
    assert_int_equal(rd_kafka_flush(producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

/* A group has read three records of five. Makes the snapshot of a poll, timestamps included, at that
 * interval; returns the index of the topic. */
static uint32_t observe_group(struct fixture *f, int64_t poll_interval_ms)
{
    struct kafka_reader reader = {0};
    struct snapshot *s = f->poll.snapshot;
    struct error error = {0};
    assert_true(kafka_reader_open(&reader, &f->config, &error));
    uint32_t topic = (uint32_t)snapshot_find_topic(s, STR_LITERAL("orders"));
    uint32_t partition = s->topics[topic].first_partition + 2;
    s->partitions[partition].start = 0;
    s->partitions[partition].end = 5;
    snapshot_add_position(s, 0, topic, 2, 3);
    snapshot_seal(s, 10000);
    f->config.poll_interval_ms = poll_interval_ms;
    kafka_read_timestamps(&f->poll, &f->layout, &reader);
    kafka_reader_free(&reader);
    return topic;
}

/* All is well. */
static void test_timestamps_are_read(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = f->poll.snapshot;
    produce(f);
    uint32_t topic = observe_group(f, 15000);
    assert_int_equal(s->positions[0].next_ts, 4000);
    assert_int_equal(s->partitions[s->topics[topic].first_partition + 2].start_ts, 1000);
    assert_true(s->topics[topic].unkeyed_ratio == 3.0 / 5);
    assert_true(s->topics[1 - topic].unkeyed_ratio < 0);
    assert_int_equal(f->report.errors[STAGE_TIMESTAMPS], 0);
}

/* The broker takes longer to answer than the whole of what a poll may spend on timestamps. */
static void test_a_slow_broker_tells_of_timestamps(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = f->poll.snapshot;
    produce(f);
    assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 100), RD_KAFKA_RESP_ERR_NO_ERROR);
    observe_group(f, 100);
    assert_int_equal(s->positions[0].next_ts, 4000);
    assert_int_equal(f->report.errors[STAGE_TIMESTAMPS], 0);
}

/* Of two brokers, the first to fail is silent. */
static void test_nobody_answers_only_if_all_are_silent(void **state)
{
    rd_kafka_error_t *silence = rd_kafka_error_new(RD_KAFKA_RESP_ERR__TRANSPORT, NULL);
    rd_kafka_error_t *refusal = rd_kafka_error_new(RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, NULL);
    const rd_kafka_error_t *both[] = {silence, refusal}, *silent[] = {silence, silence};
    (void)state;
    assert_false(kafka_nobody_answered(both, 2, 2));
    assert_true(kafka_nobody_answered(silent, 2, 2));
    assert_true(kafka_nobody_answered(silent, 2, 1));
    assert_false(kafka_nobody_answered(silent, 1, 2));
    assert_false(kafka_nobody_answered(silent, 0, 0));
    rd_kafka_error_destroy(silence);
    rd_kafka_error_destroy(refusal);
}

/* The broker answers that it is no longer the coordinator of the group. librdkafka 2.0.2 crashes on that if
 * the client has no group of its own. */
static void test_a_coordinator_that_has_moved(void **state)
{
    struct fixture *f = *state;
    rd_kafka_mock_push_request_errors(f->cluster, OFFSET_FETCH, 1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    kafka_read_commits(&f->poll, &f->layout, &f->groups, NULL, NULL, 1);
    assert_int_equal(f->report.errors[STAGE_COMMITS], 1);
    assert_true(f->poll.stale);
    assert_non_null(strstr(error_text(&f->report.first_error), "billing"));
    kafka_read_commits(&f->poll, &f->layout, &f->groups, NULL, NULL, 2);
    assert_int_equal(f->report.errors[STAGE_COMMITS], 1);
}

/* The group may not be read. */
static void test_a_group_that_may_not_be_read(void **state)
{
    struct fixture *f = *state;
    rd_kafka_mock_push_request_errors(f->cluster, OFFSET_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_read_commits(&f->poll, &f->layout, &f->groups, NULL, NULL, 1);
    assert_int_equal(f->report.errors[STAGE_COMMITS], 1);
    assert_int_equal(f->report.first_error.code, ERROR_DENIED);
    assert_false(f->poll.stale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ends_are_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_topic_that_fails_costs_only_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stale_client_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timestamps_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_slow_broker_tells_of_timestamps, set_up, tear_down),
        cmocka_unit_test(test_nobody_answers_only_if_all_are_silent),
        cmocka_unit_test_setup_teardown(test_a_coordinator_that_has_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_group_that_may_not_be_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
