/*
 * Hostile recordings, which are judged as far as they can be read; and, where the input doesn't begin with
 * "{", a state file that differs from a good one by the input: two bytes for the place and one for the value,
 * again and again. Its checksum is put right, since otherwise nothing would come past it. It must be refused,
 * or be gone on with and kept again.
 *
 *     make fuzz-judgement    (FUZZ_SECONDS=60)
 */

#include "exporter/evaluate.h"
#include "exporter/observations.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char folder[] = "/tmp/fuzz_judgement.XXXXXX", path[64], damaged[64];
static struct buf good; /* a state file */

static const char story[] =
    "{\"t\":1764000000,\"topics\":[{\"topic\":\"t\",\"config\":{\"retention.ms\":3600000,\"cleanup.policy\":"
    "\"delete\"},"
    "\"partitions\":[{\"partition\":0,\"start\":0,\"end\":90,\"start_ts\":1763999000},{\"partition\":1,"
    "\"start\":5,\"end\":9}]}],"
    "\"groups\":[{\"group\":\"g\",\"state\":\"Stable\",\"members\":2,\"generation\":7,\"offsets\":["
    "{\"topic\":\"t\",\"partition\":0,\"committed\":80},{\"topic\":\"t\",\"partition\":1,\"committed\":6,"
    "\"next_ts\":1763999990}]}]}\n"
    "{\"t\":1764000015,\"topics\":[{\"topic\":\"t\",\"partitions\":[{\"partition\":0,\"start\":50,\"end\":"
    "290},"
    "{\"partition\":1,\"start\":9,\"end\":19}]}],\"groups\":[{\"group\":\"g\",\"state\":\"Empty\","
    "\"members\":0,\"generation\":8,"
    "\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"committed\":20},{\"topic\":\"t\",\"partition\":1,"
    "\"committed\":60}]}]}\n";

/* Judges the recording line by line, as long as its lines can be read. */
static void judge(struct history *history, struct str text)
{
    const struct rules rules = rules_default();
    struct error error = {0};
    while (text.length > 0) {
        const char *end = memchr(text.bytes, '\n', text.length);
        struct str line = {text.bytes, end == NULL ? text.length : (size_t)(end - text.bytes) + 1};
        struct snapshot *snapshot = observation_parse(line, NULL, &error);
        text = (struct str){text.bytes + line.length, text.length - line.length};
        if (snapshot == NULL)
            break;
        history_observe(history, snapshot);
        struct findings *findings = evaluate(history, snapshot, snapshot->time, &rules);
        for (uint32_t i = 0; i < snapshot->subscription_count; i++)
            if (findings->subscriptions[i].lost_total < 0 || findings->subscriptions[i].lag_sum < UNKNOWN)
                abort();
        findings_free(&findings);
        snapshot_free(&snapshot);
    }
    error_clear(&error);
}

static void read_good_file(void)
{
    int fd = open(path, O_RDONLY);
    ssize_t got;
    good = buf_make(1 << 24);
    while (fd >= 0 && (got = read(fd, buf_room(&good, 4096), 4096)) > 0)
        buf_claim(&good, (size_t)got);
    if (good.length == 0)
        abort();
    close(fd);
}

static void clean_up(void)
{
    unlink(path);
    unlink(damaged);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct error error = {0};
    struct history *history = history_new();
    if (mkdtemp(folder) == NULL)
        abort();
    snprintf(path, sizeof path, "%s/state", folder);
    snprintf(damaged, sizeof damaged, "%s.damaged", path);
    judge(history, str_of(story));
    if (!history_save(history, path, &error))
        abort();
    history_free(&history);
    read_good_file();
    atexit(clean_up);
    return 0;
}

/* The last eight bytes of its head are the FNV-1a checksum of what follows. */
static void put_checksum_right(struct buf *file)
{
    enum { HEAD = 32 };
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = HEAD; i < file->length; i++)
        sum = (sum ^ (unsigned char)file->bytes[i]) * UINT64_C(0x100000001b3);
    memcpy(file->bytes + HEAD - sizeof sum, &sum, sizeof sum);
}

static void load_state(struct str changes)
{
    struct error error = {0};
    struct buf file = buf_make(1 << 24);
    buf_add(&file, good.bytes, good.length);
    for (size_t i = 0; i + 2 < changes.length; i += 3) {
        const uint8_t *change = (const uint8_t *)changes.bytes + i;
        file.bytes[(size_t)(change[0] << 8 | change[1]) % file.length] = (char)change[2];
    }
    put_checksum_right(&file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, file.bytes, file.length) != (ssize_t)file.length || close(fd) != 0)
        abort();
    struct history *history = history_load(path, &error);
    if (history != NULL)
        judge(history, str_of(story));
    if (history != NULL && !history_save(history, path, &error))
        abort();
    error_clear(&error);
    history_free(&history);
    buf_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = {(const char *)data, size};
    struct history *history = history_new();
    if (size > 0 && data[0] == '{')
        judge(history, input);
    else
        load_state(input);
    history_free(&history);
    return 0;
}
