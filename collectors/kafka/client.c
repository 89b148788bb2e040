#include "collectors/kafka/client.h"

#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

enum { END_US = 1000000 }; /* within which a client ends; nearly all need a few milliseconds */

struct kafka_client {
    rd_kafka_t *handle;
    char *complaint; /* owned; the last error that the client reported of itself, or NULL */
    rd_kafka_resp_err_t complaint_code;
};

/* Properties that would make the collector do something else than observe, or observe something else. */
static const struct refused {
    const char *name, *reason;
} refused_properties[] = {
    {"bootstrap.servers", "it is the source's address"},
    {"metadata.broker.list", "it is the source's address"},
    {"isolation.level", "both ends of a partition are observed"},
    {"group.id", "the collector joins no group"},
    {"group.instance.id", "the collector joins no group"},
    {"enable.auto.commit", "the collector commits nothing"},
    {"enable.auto.offset.store", "the collector commits nothing"},
    {"allow.auto.create.topics", "the collector makes no topics"},
    {"transactional.id", "the collector writes nothing"},
    {"enable.idempotence", "the collector writes nothing"},
    {"enabled_events", "the collector handles events itself"},
    {"log.queue", "the collector handles logs itself"},
    {"log.thread.name", "the collector handles logs itself"},
    {"opaque", "it can only be set by a program"},
    {"default_topic_conf", "it can only be set by a program"},
};

/* What every client is given before the user's properties, which may replace the first few. */
static const char *const own_properties[][2] = {
    {"client.id", "tidemark"},
    {"reconnect.backoff.max.ms", "2000"},
    {"allow.auto.create.topics", "false"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    /* Never joined. But without a group, librdkafka 2.0.2 follows a null pointer when a broker answers that
     * it is no longer the coordinator of the group that was asked about. */
    {"group.id", "tidemark"},
    {NULL, NULL},
};

/* For a client that wants a record or two of each of many partitions: little at a time of each, and hardly
 * any waiting for more, since what is wanted next isn't asked for as long as a request waits. Not
 * queued.min.messages: the queue is shared, and while one broker's records fill it librdkafka puts off asking
 * the others for a second. */
static const char *const reader_properties[][2] = {
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"fetch.message.max.bytes", "16384"},
    {"fetch.min.bytes", "1"},
    {"fetch.wait.max.ms", "5"},
    {"fetch.error.backoff.ms", "50"},
    {"check.crcs", "false"},
    {NULL, NULL},
};

/* For the client that reads one topic from its beginning and then follows it: what it keeps ready is bounded,
 * and while nothing is written it asks seldom. */
static const char *const follower_properties[][2] = {
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"fetch.message.max.bytes", "65536"},
    {"fetch.max.bytes", "1048576"},
    {"queued.max.messages.kbytes", "256"},
    {"fetch.min.bytes", "1"},
    {"fetch.wait.max.ms", "1000"},
    {"check.crcs", "true"},
    {NULL, NULL},
};

/* By role. Complaints wait until they are heard, so that who isn't listened to mustn't complain: while a
 * cluster is away, they would pile up. */
static const struct {
    const char *isolation;
    const char *const (*properties)[2];
    bool is_heard;
} roles[] = {
    [KAFKA_ADMIN] = {"read_uncommitted", NULL, true},
    [KAFKA_STABLE] = {"read_committed", NULL, false},
    [KAFKA_READER] = {"read_uncommitted", reader_properties, false},
    [KAFKA_FOLLOWER] = {"read_committed", follower_properties, false},
};

static bool is_refused(const char *name, struct error *error)
{
    const size_t count = sizeof refused_properties / sizeof *refused_properties;
    const struct refused *refused = refused_properties;
    while (refused < refused_properties + count && strcmp(refused->name, name) != 0)
        refused++;
    if (refused < refused_properties + count)
        error_set(error, ERROR_USAGE, "property \"%s\" can't be set: %s", name, refused->reason);
    else if (strlen(name) > 3 && strcmp(name + strlen(name) - 3, "_cb") == 0)
        error_set(error, ERROR_USAGE, "property \"%s\" can't be set: it can only be set by a program", name);
    else
        return false;
    return true;
}

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *error)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    error_set(error, ERROR_USAGE, "property \"%s\": %s", name, text);
    return false;
}

/* A table of names and values ends with a NULL. */
static bool set_table(rd_kafka_conf_t *conf, const char *const (*table)[2], struct error *error)
{
    for (; (*table)[0] != NULL; table++)
        if (!set_property(conf, (*table)[0], (*table)[1], error))
            return false;
    return true;
}

static bool set_properties(rd_kafka_conf_t *conf, const struct source_config *config, enum kafka_role role,
                           struct error *error)
{
    if (!set_table(conf, own_properties, error))
        return false;
    for (size_t i = 0; i < config->property_count; i++) {
        const struct source_property *property = &config->properties[i];
        if (is_refused(property->name, error) || !set_property(conf, property->name, property->value, error))
            return false;
    }
    return set_property(conf, "bootstrap.servers", config->address, error) &&
           set_property(conf, "isolation.level", roles[role].isolation, error) &&
           (roles[role].properties == NULL || set_table(conf, roles[role].properties, error));
}

/* How near to a cause a complaint is: a client that was refused tries again, and may then complain of no more
 * than that nobody answers. */
static int nearness(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ? 0 : kafka_is_silence(code) ? 1 : 2;
}

/* Called by rd_kafka_poll(), in the collector's thread. */
static void note_complaint(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    struct kafka_client *client = opaque;
    (void)handle;
    if (client->complaint != NULL && nearness(code) < nearness(client->complaint_code))
        return;
    free(client->complaint);
    client->complaint = mem_copy_text(reason);
    client->complaint_code = code;
}

/* Called by librdkafka's threads. The levels are syslog's. */
static void forward_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    (void)handle;
    log_event(level <= LOG_ERR       ? LOG_LEVEL_ERROR
              : level <= LOG_WARNING ? LOG_LEVEL_WARN
                                     : LOG_LEVEL_INFO,
              "librdkafka", LOG_FIELDS(log_text("facility", facility), log_text("text", text)));
}

/* What librdkafka logs unasked, about connections, comes back as errors too, once a poll and not once an
 * attempt. */
static void ignore_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    (void)handle, (void)level, (void)facility, (void)text;
}

static bool wants_log(const struct source_config *config)
{
    for (size_t i = 0; i < config->property_count; i++)
        if (strcmp(config->properties[i].name, "debug") == 0)
            return true;
    return false;
}

struct kafka_client *kafka_client_new(const struct source_config *config, enum kafka_role role,
                                      struct error *error)
{
    char text[512];
    struct kafka_client *client = MEM_NEW(struct kafka_client);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, client);
    if (roles[role].is_heard)
        rd_kafka_conf_set_error_cb(conf, note_complaint);
    rd_kafka_conf_set_log_cb(conf, wants_log(config) ? forward_log : ignore_log);
    if (set_properties(conf, config, role, error)) {
        client->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
        if (client->handle != NULL)
            return client;
        error_set(error, ERROR_USAGE, "the properties don't fit together: %s", text);
    }
    rd_kafka_conf_destroy(conf);
    free(client);
    return NULL;
}

static void *end_client(void *context)
{
    struct kafka_client *client = context;
    rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(client->complaint);
    free(client);
    return NULL;
}

/* After a topic was deleted or a broker restarted, librdkafka 2.0.2 may wait for one of its own threads for
 * ever (its issues 3954 and 4131). The polls have to go on: such a client is left behind with its threads. */
void kafka_client_free(struct kafka_client **client)
{
    pthread_t ender;
    if (*client == NULL)
        return;
    if (pthread_create(&ender, NULL, end_client, *client) != 0) {
        end_client(*client);
    } else if (!thread_join_until(ender, clock_monotonic_us() + END_US)) {
        log_event(LOG_LEVEL_WARN, "a client of librdkafka doesn't end and is left behind", LOG_NO_FIELDS);
        pthread_detach(ender);
    }
    *client = NULL;
}

rd_kafka_t *kafka_client_handle(const struct kafka_client *client)
{
    return client->handle;
}

bool kafka_is_silence(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return true;
    default:
        return false;
    }
}

bool kafka_is_stale(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return true;
    default:
        return kafka_is_silence(code);
    }
}

static enum error_code error_code_of(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return ERROR_DENIED;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_UNAVAILABLE;
    }
}

void kafka_client_error(struct kafka_client *client, rd_kafka_resp_err_t code, struct error *error)
{
    rd_kafka_poll(client->handle, 0); /* brings the complaints */
    if (kafka_is_silence(code) && client->complaint != NULL)
        error_set(error, error_code_of(client->complaint_code), "%s (%s)", rd_kafka_err2str(code),
                  client->complaint);
    else
        error_set(error, error_code_of(code), "%s", rd_kafka_err2str(code));
}

const char *kafka_client_complaint(struct kafka_client *client, int wait_ms, rd_kafka_resp_err_t *code)
{
    int64_t deadline_us = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    rd_kafka_poll(client->handle, 0);
    for (int64_t left_us = (int64_t)wait_ms * 1000; client->complaint == NULL && left_us > 0;
         left_us = deadline_us - clock_monotonic_us())
        rd_kafka_poll(client->handle, (int)(left_us / 1000) + 1);
    *code = client->complaint != NULL ? client->complaint_code : RD_KAFKA_RESP_ERR_NO_ERROR;
    return client->complaint;
}

void kafka_client_works(struct kafka_client *client)
{
    rd_kafka_poll(client->handle, 0);
    free(client->complaint);
    client->complaint = NULL;
}
