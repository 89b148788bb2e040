/*
 * A worker that reads orders and books them: read, process, commit. So an order may come twice, when a worker
 * dies between processing and committing; and some orders can't be booked, however often they come. This
 * shows what to do about both by hand:
 *
 *   - It is idempotent: what was booked is kept under the order's own number, in the topic "booked", and an
 * order whose number is there already is passed over.
 *   - What can't be booked goes to a topic of its own, "orders.dead", with the reason and where it came from,
 * and the worker goes on. A person looks at it there.
 *
 * Usage: worker DIR        reads for ever; several may run at once
 *
 *     cc worker.c $(pkg-config --cflags --libs logstore) -o worker
 *     ./worker store & tidemark log append store orders --key 17
 */

#include <logstore/logstore.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDERS LOGSTORE_STR_LITERAL("orders")
#define BOOKED LOGSTORE_STR_LITERAL("booked")
#define DEAD   LOGSTORE_STR_LITERAL("orders.dead")

static int fail(const char *what, struct logstore_error *error)
{
    fprintf(stderr, "%s: %s\n", what, logstore_error_text(error));
    logstore_error_clear(error);
    return 1;
}

/* Makes a topic, unless it is there. */
static bool provide_topic(struct logstore *store, struct logstore_str topic, unsigned cleanup,
                          struct logstore_error *error)
{
    struct logstore_config config = logstore_config_default();
    config.cleanup_policy = cleanup;
    if (logstore_topic_create(store, topic, 4, &config, error))
        return true;
    if (error->code != LOGSTORE_ERROR_EXISTS)
        return false;
    logstore_error_clear(error);
    return true;
}

/* Whether the order was booked before: looked up in the partition where its key must be. A real program would
 * ask its database, within the transaction that books. */
static bool is_booked(struct logstore *store, struct logstore_str key, bool *booked,
                      struct logstore_error *error)
{
    struct logstore_topic topic;
    struct logstore_record record;
    int64_t start, end;
    enum logstore_read read = LOGSTORE_READ_FAILED;
    *booked = false;
    if (!logstore_topic_find(store, BOOKED, &topic, error))
        return false;
    uint32_t partition = logstore_partition_for(key, topic.partitions);
    if (!logstore_offsets(store, BOOKED, partition, &start, &end, error))
        return false;
    struct logstore_reader *reader = logstore_reader_open(store, BOOKED, partition, start, error);
    while (reader != NULL && (read = logstore_read(reader, &record, error)) == LOGSTORE_READ_RECORD)
        *booked = *booked || logstore_str_equal(record.key, key);
    logstore_reader_close(&reader);
    return read == LOGSTORE_READ_END;
}

/* What is wrong with the order; NULL: nothing. */
static const char *check(const struct logstore_record *order)
{
    if (order->key.bytes == NULL)
        return "it has no number";
    if (order->value.length == 0)
        return "it is empty";
    for (size_t i = 0; i < order->value.length; i++)
        if (!isdigit((unsigned char)order->value.bytes[i]))
            return "its amount is no number";
    return NULL;
}

static bool bury(struct logstore *store, const struct logstore_record *order,
                 const struct logstore_source *source, const char *reason, struct logstore_error *error)
{
    char origin[64];
    snprintf(origin, sizeof origin, "partition %u offset %lld", source->partition, (long long)order->offset);
    const struct logstore_header headers[] = {{LOGSTORE_STR_LITERAL("reason"), logstore_str_of(reason)},
                                              {LOGSTORE_STR_LITERAL("origin"), logstore_str_of(origin)}};
    struct logstore_record dead = *order;
    dead.headers = headers;
    dead.header_count = 2;
    fprintf(stderr, "%s: %s\n", origin, reason);
    return logstore_produce(store, DEAD, &dead, 1, NULL, error);
}

static bool process(struct logstore *store, const struct logstore_record *order,
                    const struct logstore_source *source, struct logstore_error *error)
{
    bool booked;
    const char *reason = check(order);
    if (reason != NULL)
        return bury(store, order, source, reason, error);
    if (!is_booked(store, order->key, &booked, error))
        return false;
    return booked || logstore_produce(store, BOOKED, order, 1, NULL, error);
}

static bool work(struct logstore *store, struct logstore_consumer *consumer, struct logstore_error *error)
{
    for (;;) {
        struct logstore_record order;
        struct logstore_source source;
        enum logstore_poll poll = logstore_consumer_poll(consumer, 1000, &order, &source, error);
        if (poll == LOGSTORE_POLL_FAILED ||
            (poll == LOGSTORE_POLL_RECORD && !process(store, &order, &source, error)))
            return false;
        if (logstore_consumer_commit(consumer, error))
            continue;
        if (error->code != LOGSTORE_ERROR_CONFLICT)
            return false;
        logstore_error_clear(
            error); /* another worker has the partition now: it will pass over what we have booked */
    }
}

int main(int argc, char **argv)
{
    struct logstore_error error = {0};
    struct logstore_options options = {.access = LOGSTORE_CREATE};
    const struct logstore_str topic = ORDERS;
    if (argc != 2) {
        fprintf(stderr, "Usage: worker DIR\n");
        return 2;
    }
    struct logstore *store = logstore_open(argv[1], &options, &error);
    if (store == NULL)
        return fail("open", &error);
    struct logstore_consumer *consumer = NULL;
    if (provide_topic(store, ORDERS, LOGSTORE_CLEANUP_DELETE, &error) &&
        provide_topic(store, BOOKED, LOGSTORE_CLEANUP_COMPACT, &error) &&
        provide_topic(store, DEAD, LOGSTORE_CLEANUP_DELETE, &error))
        consumer = logstore_consumer_join(store, LOGSTORE_STR_LITERAL("booking"), &topic, 1, NULL, &error);
    if (consumer != NULL)
        (void)work(store, consumer, &error);
    int code = fail("work", &error);
    (void)logstore_consumer_leave(&consumer, &error);
    logstore_error_clear(&error);
    logstore_close(&store);
    return code;
}
