#include "collectors/kafka/poll.h"

#include "exporter/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_SHOWN = 200,   /* bytes of a name in an error's text */
    PATIENCE_MS = 1000, /* beyond a request's deadline, until librdkafka has noticed it */
};

void kafka_failures_free(struct kafka_failures *failures)
{
    for (size_t i = 0; i < failures->count; i++)
        free(failures->items[i].name);
    free(failures->items);
    *failures = (struct kafka_failures){0};
}

static void keep_failure(struct kafka_failures *failures, const struct kafka_failure *failure,
                         struct str name)
{
    for (size_t i = 0; i < failures->count; i++) {
        struct kafka_failure *known = &failures->items[i];
        if (known->stage == failure->stage && known->code == failure->code &&
            strcmp(known->kind, failure->kind) == 0) {
            known->count++;
            return;
        }
    }
    failures->items =
        mem_grow(failures->items, &failures->capacity, failures->count + 1, sizeof *failures->items);
    failures->items[failures->count] = *failure;
    failures->items[failures->count++].name = mem_copy_str(name);
}

void kafka_poll_failed(struct kafka_poll *poll, enum poll_stage stage, rd_kafka_resp_err_t code,
                       const char *kind, struct str name)
{
    struct error error = {0};
    int shown = name.length < NAME_SHOWN ? (int)name.length : NAME_SHOWN;
    poll->stale = poll->stale || kafka_is_stale(code);
    if (poll->failures != NULL)
        keep_failure(poll->failures,
                     &(struct kafka_failure){.stage = stage, .code = code, .kind = kind, .count = 1}, name);
    kafka_client_error(poll->client, code, &error);
    error_wrap(&error, "%s \"%.*s\"", kind, shown, name.bytes);
    poll_report_item_failed(poll->report, stage, &error);
}

bool kafka_poll_broken(struct kafka_poll *poll, rd_kafka_resp_err_t code, const char *doing,
                       struct error *error)
{
    kafka_client_error(poll->client, code, error);
    error_wrap(error, "%s", doing);
    return false;
}

int kafka_poll_timeout_ms(const struct kafka_poll *poll)
{
    /* librdkafka's own limit is an hour. */
    const int64_t most = 3600 * 1000;
    int64_t timeout = poll->config->timeout_ms;
    return timeout < 1 ? 1 : (int)(timeout < most ? timeout : most);
}

rd_kafka_AdminOptions_t *kafka_poll_options(const struct kafka_poll *poll, rd_kafka_admin_op_t operation)
{
    char text[256];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(kafka_client_handle(poll->client), operation);
    rd_kafka_resp_err_t code =
        rd_kafka_AdminOptions_set_request_timeout(options, kafka_poll_timeout_ms(poll), text, sizeof text);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)code;
    return options;
}

rd_kafka_event_t *kafka_poll_await(const struct kafka_poll *poll, rd_kafka_queue_t *queue)
{
    return rd_kafka_queue_poll(queue, kafka_poll_timeout_ms(poll) + PATIENCE_MS);
}
