#include "logstore/cli/json.h"
#include "logstore/cli/progress.h"
#include "logstore/cli/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORDS_AT_ONCE = 1000, FOLLOW_PAUSE_MS = 50 };

/* --- append ----------------------------------------------------------------------------------------------
 */

/* Records gathered from lines, appended together. */
struct gathering {
    struct logstore *store;
    struct str topic, key; /* key.bytes NULL: none was given */
    int64_t partition;     /* -1: by key */
    bool json;
    struct json_record lines[RECORDS_AT_ONCE];
    struct logstore_record records[RECORDS_AT_ONCE];
    size_t count;
    int64_t line_number;
    struct progress progress;
};

/* Records that name a partition go there one by one; the others together. */
static bool flush(struct gathering *gathering, struct error *error)
{
    bool done = true;
    size_t spread = 0;
    for (size_t i = 0; done && i < gathering->count; i++) {
        int64_t partition =
            gathering->lines[i].partition >= 0 ? gathering->lines[i].partition : gathering->partition;
        if (partition > UINT32_MAX) {
            error_set(error, ERROR_USAGE, "there is no partition %lld", (long long)partition);
            done = false;
        } else if (gathering->lines[i].partition >= 0) {
            done = logstore_append(gathering->store, gathering->topic, (uint32_t)partition,
                                   &gathering->records[i], 1, NULL, error);
        } else {
            gathering->records[spread++] = gathering->records[i];
        }
    }
    if (done && spread > 0)
        done = gathering->partition >= 0
                   ? logstore_append(gathering->store, gathering->topic, (uint32_t)gathering->partition,
                                     gathering->records, spread, NULL, error)
                   : logstore_produce(gathering->store, gathering->topic, gathering->records, spread, NULL,
                                      error);
    for (size_t i = 0; i < gathering->count; i++)
        json_record_free(&gathering->lines[i]);
    gathering->count = 0;
    return done;
}

static bool gather(struct gathering *gathering, struct str line, struct error *error)
{
    struct json_record *read = &gathering->lines[gathering->count];
    struct logstore_record *record = &gathering->records[gathering->count];
    gathering->count++;
    gathering->line_number++;
    progress_add(&gathering->progress, 1);
    if (gathering->json) {
        if (!json_read_record(line, read, error)) {
            error_wrap(error, "line %lld", (long long)gathering->line_number);
            return false;
        }
        *record = read->record;
    } else {
        *read = (struct json_record){.partition = -1, .bytes = buf_make(JSON_LINE_MOST)};
        buf_add_str(&read->bytes, line);
        if (!buf_ok(&read->bytes)) {
            error_set(error, ERROR_MEMORY, "no memory for a line");
            return false;
        }
        *record = (struct logstore_record){
            .value = line.length == 0 ? STR_LITERAL("") : buf_str(&read->bytes),
        };
    }
    if (record->key.bytes == NULL)
        record->key = gathering->key;
    return gathering->count < RECORDS_AT_ONCE || flush(gathering, error);
}

/* Whether reading would not have to wait. What stdio has read ahead doesn't count, which costs a small batch
 * at most. */
static bool input_waits(FILE *input)
{
    struct pollfd descriptor = {.fd = fileno(input), .events = POLLIN};
    return poll(&descriptor, 1, 0) != 0;
}

/* Input that comes slowly is appended at once, so that nobody waits for it. */
static bool append_lines(struct gathering *gathering, FILE *input, struct error *error)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool done = true;
    while (done && (length = getline(&line, &capacity, input)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            length--;
        done = gather(gathering, (struct str){line, (size_t)length}, error) &&
               (input_waits(input) || flush(gathering, error));
    }
    if (done && ferror(input)) {
        error_set_errno(error, ERROR_IO, errno, "read the input");
        done = false;
    }
    free(line);
    progress_end(&gathering->progress);
    if (done)
        return flush(gathering, error);
    for (size_t i = 0; i < gathering->count; i++)
        json_record_free(&gathering->lines[i]);
    return false;
}

static bool run_append(const struct arguments *arguments, struct error *error)
{
    const char *key = argument_value(arguments, "key");
    int64_t partition;
    if (!argument_number(arguments, "partition", -1, 0, UINT32_MAX, &partition, error))
        return false;
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    struct gathering *gathering = store == NULL ? NULL : calloc(1, sizeof *gathering);
    if (store != NULL && gathering == NULL)
        error_set(error, ERROR_MEMORY, "no memory");
    bool done = gathering != NULL;
    if (done) {
        gathering->store = store;
        gathering->topic = str_of(arguments->positional[1]);
        gathering->key = key == NULL ? (struct str){NULL, 0} : str_of(key);
        gathering->partition = partition;
        gathering->progress = progress_begin("records", 0);
        gathering->json = argument_value(arguments, "json") != NULL;
        done = append_lines(gathering, stdin, error) && logstore_sync(store, error);
    }
    free(gathering);
    logstore_close(&store);
    return done;
}

/* --- read ------------------------------------------------------------------------------------------------
 */

struct reading {
    struct logstore *store;
    struct str topic;
    struct logstore_reader **readers; /* by partition; NULL: not asked for */
    uint32_t partitions;
    int64_t left; /* records still wanted */
    int64_t lost; /* offsets that retention deleted first */
    bool json;
    struct buf line;
};

static bool print_record(struct reading *reading, uint32_t partition, const struct logstore_record *record,
                         struct error *error)
{
    buf_reset(&reading->line);
    if (reading->json) {
        json_add_record(&reading->line, partition, record);
    } else {
        buf_add_str(&reading->line, record->value);
        buf_add_char(&reading->line, '\n');
    }
    if (buf_ok(&reading->line) &&
        fwrite(reading->line.bytes, 1, reading->line.length, stdout) == reading->line.length)
        return true;
    error_set(error, ERROR_IO, "the output could not be written");
    return false;
}

/* Retention was faster: says what it has taken, and goes on with what is left. */
static bool pass_deleted(struct reading *reading, uint32_t partition, struct error *error)
{
    struct logstore_reader *reader = reading->readers[partition];
    int64_t first = logstore_reader_offset(reader), deleted;
    if (error->code != ERROR_NOT_FOUND ||
        !verb_pass_deleted(reading->store, reading->topic, partition, reader, &deleted, error))
        return false;
    fprintf(stderr,
            "tidemark log read: partition %u: offsets %lld to %lld were deleted before they were read\n",
            partition, (long long)first, (long long)(first + deleted - 1));
    reading->lost += deleted;
    return true;
}

/* Prints what one reader has, up to the end. *any: there was something. */
static bool drain(struct reading *reading, uint32_t partition, bool *any, struct error *error)
{
    while (reading->left > 0) {
        struct logstore_record record;
        enum logstore_read read = logstore_read(reading->readers[partition], &record, error);
        if (read == LOGSTORE_READ_END)
            return true;
        *any = true;
        if (read == LOGSTORE_READ_FAILED) {
            if (!pass_deleted(reading, partition, error))
                return false;
            continue;
        }
        reading->left--;
        if (!print_record(reading, partition, &record, error))
            return false;
    }
    return true;
}

static bool read_all(struct reading *reading, bool follow, struct error *error)
{
    const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
    for (;;) {
        bool any = false;
        for (uint32_t partition = 0; partition < reading->partitions; partition++)
            if (reading->readers[partition] != NULL && !drain(reading, partition, &any, error))
                return false;
        if (reading->left == 0 || (!any && !follow))
            return true;
        if (!any) {
            fflush(stdout);
            nanosleep(&pause, NULL);
        }
    }
}

/* "earliest", "latest", an offset, or @ and a time in milliseconds. */
static bool find_offset(const struct reading *reading, uint32_t partition, const char *from, int64_t *offset,
                        struct error *error)
{
    int64_t start, end, time;
    if (!logstore_offsets(reading->store, reading->topic, partition, &start, &end, error))
        return false;
    if (from == NULL || strcmp(from, "earliest") == 0) {
        *offset = start;
        return true;
    }
    if (strcmp(from, "latest") == 0) {
        *offset = end;
        return true;
    }
    if (from[0] != '@') {
        if (!parse_number("--from", from, 0, INT64_MAX, offset, error))
            return false;
        if (*offset < start)
            error_set(error, ERROR_NOT_FOUND,
                      "the record at offset %lld was deleted; the log begins with %lld", (long long)*offset,
                      (long long)start);
        return *offset >= start;
    }
    return parse_number("--from @TIME", from + 1, 0, INT64_MAX, &time, error) &&
           logstore_offset_for_time(reading->store, reading->topic, partition, time, offset, error);
}

static bool open_readers(struct reading *reading, int64_t only, const char *from, struct error *error)
{
    struct logstore_topic topic;
    int64_t offset;
    if (!logstore_topic_find(reading->store, reading->topic, &topic, error))
        return false;
    reading->readers = calloc(topic.partitions, sizeof(struct logstore_reader *));
    if (reading->readers == NULL) {
        error_set(error, ERROR_MEMORY, "no memory");
        return false;
    }
    reading->partitions = topic.partitions;
    if (only >= topic.partitions) {
        error_set(error, ERROR_NOT_FOUND, "the topic has no partition %lld; it has %u", (long long)only,
                  topic.partitions);
        return false;
    }
    for (uint32_t partition = 0; partition < topic.partitions; partition++) {
        if (only >= 0 && partition != only)
            continue;
        if (!find_offset(reading, partition, from, &offset, error))
            return false;
        reading->readers[partition] =
            logstore_reader_open(reading->store, reading->topic, partition, offset, error);
        if (reading->readers[partition] == NULL)
            return false;
    }
    return true;
}

static bool run_read(const struct arguments *arguments, struct error *error)
{
    int64_t partition;
    struct reading reading = {.topic = str_of(arguments->positional[1]),
                              .json = argument_value(arguments, "json") != NULL,
                              .line = buf_make(JSON_LINE_MOST)};
    if (!argument_number(arguments, "partition", -1, 0, UINT32_MAX, &partition, error) ||
        !argument_number(arguments, "count", INT64_MAX, 0, INT64_MAX, &reading.left, error))
        return false;
    reading.store = verb_open(arguments, LOGSTORE_READ, error);
    bool done = reading.store != NULL &&
                open_readers(&reading, partition, argument_value(arguments, "from"), error) &&
                read_all(&reading, argument_value(arguments, "follow") != NULL, error);
    if (done && reading.lost > 0) {
        error_set(error, ERROR_NOT_FOUND, "%lld offsets were deleted before they were read",
                  (long long)reading.lost);
        done = false;
    }
    for (uint32_t i = 0; reading.readers != NULL && i < reading.partitions; i++)
        logstore_reader_close(&reading.readers[i]);
    free(reading.readers);
    buf_free(&reading.line);
    logstore_close(&reading.store);
    return done;
}

static const struct option APPEND_OPTIONS[] = {
    {"key", "KEY", "the key of every record that doesn't bring its own"},
    {"partition", "NUMBER", "append to this partition, instead of the one that the key gives"},
    {"json", NULL,
     "each line is a JSON object with value, and optionally key, headers, timestamp, partition"},
    {"fsync", "MODE", "always (default), interval or never"},
    {NULL, NULL, NULL},
};

static const struct option READ_OPTIONS[] = {
    {"partition", "NUMBER", "read this partition only"},
    {"from", "WHERE", "earliest (default), latest, an offset, or @ and a time in milliseconds since 1970"},
    {"count", "NUMBER", "stop after so many records"},
    {"follow", NULL, "wait for more at the end"},
    {"json", NULL, "one JSON object a line, with key, headers, offset and timestamp"},
    {NULL, NULL, NULL},
};

const struct verb record_verbs[] = {
    {"append", "DIR TOPIC", 2, 2, "Appends a record for each line of its input.",
     "echo '{\"key\":\"7\",\"value\":\"paid\"}' | tidemark log append var/log orders --json", APPEND_OPTIONS,
     run_append},
    {"read", "DIR TOPIC", 2, 2, "Prints records, one a line.",
     "tidemark log read var/log orders --from latest --follow --json", READ_OPTIONS, run_read},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
