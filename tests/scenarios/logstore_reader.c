#include "logstore/logstore.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A member of a group on the bundled log store, as tests/scenarios/kafka_reader.py is one on Kafka:
 *
 *     logstore_reader DIR GROUP TOPIC [NAME=VALUE…]
 *
 *     pause_ms      after each record
 *     choke_at      partition 0 has at this offset a record that it fails on, again and again
 *     stall_every   after so many records comes one that takes it stall_ms
 *     session_ms, max_poll_ms     its promises to the group
 *     client_id     its name
 *
 * It commits after each record, prints "PARTITION OFFSET" of each that it is done with, and leaves at
 * SIGTERM.
 */

struct behaviour {
    long pause_ms, choke_at, stall_every, stall_ms, session_ms, max_poll_ms;
    const char *client_id;
};

static volatile sig_atomic_t asked_to_leave;

static void ask_to_leave(int signal)
{
    (void)signal;
    asked_to_leave = 1;
}

static bool set(struct behaviour *behaviour, const char *argument)
{
    const struct {
        const char *name;
        long *place;
    } rows[] = {
        {"pause_ms=", &behaviour->pause_ms},       {"choke_at=", &behaviour->choke_at},
        {"stall_every=", &behaviour->stall_every}, {"stall_ms=", &behaviour->stall_ms},
        {"session_ms=", &behaviour->session_ms},   {"max_poll_ms=", &behaviour->max_poll_ms},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strncmp(argument, rows[i].name, strlen(rows[i].name)) == 0) {
            *rows[i].place = strtol(argument + strlen(rows[i].name), NULL, 10);
            return true;
        }
    }
    static const char client_id[] = "client_id=";
    if (strncmp(argument, client_id, strlen(client_id)) != 0)
        return false;
    behaviour->client_id = argument + strlen(client_id);
    return true;
}

static void pause_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0)
        nanosleep(&wait, NULL);
}

/* True when the failure passes with the next poll. */
static bool passes(struct error *error)
{
    bool passing = error->code == ERROR_CONFLICT || error->code == ERROR_NOT_FOUND;
    if (passing)
        error_clear(error);
    return passing;
}

static bool handle(struct logstore_consumer *consumer, const struct behaviour *behaviour,
                   const struct logstore_record *record, const struct logstore_source *source, long number,
                   struct error *error)
{
    if (behaviour->choke_at >= 0 && source->partition == 0 && record->offset >= behaviour->choke_at) {
        pause_ms(50);
        return logstore_consumer_seek(consumer, source->topic, source->partition, record->offset, error);
    }
    uint32_t partition = source->partition;
    int64_t offset = record->offset;
    pause_ms(behaviour->pause_ms);
    if (behaviour->stall_every > 0 && number % behaviour->stall_every == 0)
        pause_ms(behaviour->stall_ms);
    if (!logstore_consumer_commit(consumer, error))
        return false;
    printf("%u %lld\n", partition, (long long)offset);
    return fflush(stdout) == 0;
}

static bool read_until_asked(struct logstore_consumer *consumer, const struct behaviour *behaviour,
                             struct error *error)
{
    for (long number = 1; !asked_to_leave;) {
        struct logstore_record record;
        struct logstore_source source;
        enum logstore_poll polled = logstore_consumer_poll(consumer, 20, &record, &source, error);
        if ((polled == LOGSTORE_POLL_FAILED ||
             (polled == LOGSTORE_POLL_RECORD &&
              !handle(consumer, behaviour, &record, &source, number++, error))) &&
            !passes(error))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct behaviour behaviour = {
        .choke_at = -1, .session_ms = 45000, .max_poll_ms = 60000, .client_id = "scenario"};
    for (int i = 4; i < argc; i++) {
        if (!set(&behaviour, argv[i])) {
            fprintf(stderr, "%s: unknown\n", argv[i]);
            return 2;
        }
    }
    signal(SIGTERM, ask_to_leave);
    struct logstore_options store_options = {.fsync = LOGSTORE_FSYNC_NEVER};
    struct logstore_consumer_options options = {
        .client_id = str_of(behaviour.client_id),
        .session_timeout_ms = behaviour.session_ms,
        .max_poll_interval_ms = behaviour.max_poll_ms,
    };
    struct logstore *store = argc > 3 ? logstore_open(argv[1], &store_options, &error) : NULL;
    struct str topic = str_of(argc > 3 ? argv[3] : "");
    struct logstore_consumer *consumer =
        store == NULL ? NULL : logstore_consumer_join(store, str_of(argv[2]), &topic, 1, &options, &error);
    bool done = consumer != NULL && read_until_asked(consumer, &behaviour, &error) &&
                logstore_consumer_leave(&consumer, &error);
    if (!done)
        fprintf(stderr, "%s\n", error_text(&error));
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
    return done ? 0 : 1;
}
