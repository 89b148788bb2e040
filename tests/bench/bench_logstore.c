/*
 * The log store against what it is built of, each pair side by side in one run. Prints a JSON object a line
 * with the ratio and its bar; exit code 1 when one is missed.
 */

#include "exporter/base/clock.h"
#include "logstore/crc32c.h"
#include "logstore/logstore.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 100, BATCH = 1000, BATCHES = 1000, ROUNDS = 5, SYNCED = 300, BLOCK = 262144 };

#define TOPIC STR_LITERAL("t")

static char folder[] = "/tmp/logstore-bench-XXXXXX";
static char path[128];
static struct error error;
static bool missed;

static void must(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "%s: %s\n", what, error_text(&error));
    exit(2); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void report(const char *name, double value, const char *unit, double bar, bool at_least)
{
    bool met = at_least ? value >= bar : value <= bar;
    missed = missed || !met;
    printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"bar\":\"%s %.1f\",\"met\":%s}\n", name, value,
           unit, at_least ? "at least" : "at most", bar, met ? "true" : "false");
    fflush(stdout);
}

static struct logstore *make_store(const char *name, enum logstore_fsync fsync, uint32_t partitions)
{
    struct logstore_options options = {.access = LOGSTORE_CREATE, .fsync = fsync};
    struct logstore *store = logstore_open(in_folder(name), &options, &error);
    must(store != NULL, "open");
    must(logstore_topic_create(store, TOPIC, partitions, NULL, &error), "create");
    return store;
}

static void remove_all(const char *name)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", in_folder(name)); /* unquoted: a name may be a pattern */
    must(system(command) == 0, "rm"); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
}

static void fill_records(struct logstore_record *records, const char *bytes)
{
    for (size_t i = 0; i < BATCH; i++)
        records[i] = (struct logstore_record){.value = {bytes + i * RECORD, RECORD}};
}

/* --- appending -------------------------------------------------------------------------------------------
 */

static double time_append(const char *bytes)
{
    struct logstore_record records[BATCH];
    struct logstore *store = make_store("store", LOGSTORE_FSYNC_NEVER, 1);
    fill_records(records, bytes);
    int64_t began = clock_monotonic_us();
    for (int i = 0; i < BATCHES; i++)
        must(logstore_append(store, TOPIC, 0, records, BATCH, NULL, &error), "append");
    double took = (double)(clock_monotonic_us() - began);
    logstore_close(&store);
    remove_all("store");
    return took;
}

static double time_write(const char *bytes)
{
    int fd = open(in_folder("raw"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0, "open raw");
    int64_t began = clock_monotonic_us();
    for (int i = 0; i < BATCHES; i++)
        must(write(fd, bytes, (size_t)RECORD * BATCH) == (ssize_t)RECORD * BATCH, "write");
    double took = (double)(clock_monotonic_us() - began);
    close(fd);
    remove_all("raw");
    return took;
}

static double time_sqlite(const char *bytes)
{
    enum { FEWER = 10 };
    sqlite3 *database;
    sqlite3_stmt *insert;
    must(sqlite3_open(in_folder("sqlite"), &database) == SQLITE_OK, "sqlite");
    sqlite3_exec(database, "pragma journal_mode=wal; pragma synchronous=off; create table t (v blob);", NULL,
                 NULL, NULL);
    must(sqlite3_prepare_v2(database, "insert into t values (?)", -1, &insert, NULL) == SQLITE_OK, "sqlite");
    int64_t began = clock_monotonic_us();
    for (int i = 0; i < BATCHES / FEWER; i++) {
        sqlite3_exec(database, "begin", NULL, NULL, NULL);
        for (size_t j = 0; j < BATCH; j++) {
            sqlite3_bind_blob(insert, 1, bytes + j * RECORD, RECORD, SQLITE_STATIC);
            must(sqlite3_step(insert) == SQLITE_DONE, "sqlite insert");
            sqlite3_reset(insert);
        }
        sqlite3_exec(database, "commit", NULL, NULL, NULL);
    }
    double took = (double)(clock_monotonic_us() - began) * FEWER;
    sqlite3_finalize(insert);
    sqlite3_close(database);
    remove_all("sqlite*");
    return took;
}

static void bench_appends(const char *bytes)
{
    double hardware[ROUNDS], software[ROUNDS], sqlite[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double raw = time_write(bytes);
        double with = time_append(bytes);
        hardware[round] = raw / with;
        crc32c_by_tables_only = true;
        software[round] = time_write(bytes) / time_append(bytes);
        crc32c_by_tables_only = false;
        sqlite[round] = time_sqlite(bytes) / time_append(bytes);
    }
    report("append, of the bandwidth of write()", median(hardware, ROUNDS), "x", 0.5, true);
    report("append without SSE4.2, of the bandwidth of write()", median(software, ROUNDS), "x", 0.3, true);
    report("append, faster than SQLite", median(sqlite, ROUNDS), "x", 8, true);
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

static double time_read(struct logstore *store)
{
    struct logstore_record record;
    enum logstore_read read;
    int64_t began = clock_monotonic_us(), count = 0;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    must(reader != NULL, "reader");
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD)
        count++;
    must(read == LOGSTORE_READ_END && count == (int64_t)BATCH * BATCHES, "read");
    logstore_reader_close(&reader);
    return (double)(clock_monotonic_us() - began);
}

static double time_pread(char *buffer)
{
    int fd = open(in_folder("store/topic/00000001/0/00000000000000000000.log"), O_RDONLY);
    must(fd >= 0, "open log");
    int64_t began = clock_monotonic_us();
    ssize_t got;
    for (off_t at = 0; at < (off_t)RECORD * BATCH * BATCHES; at += got)
        must((got = pread(fd, buffer, BLOCK, at)) > 0, "pread");
    double took = (double)(clock_monotonic_us() - began);
    close(fd);
    return took;
}

static void bench_reads(const char *bytes)
{
    static char buffer[BLOCK];
    double ratios[ROUNDS];
    struct logstore_record records[BATCH];
    struct logstore *store = make_store("store", LOGSTORE_FSYNC_NEVER, 1);
    fill_records(records, bytes);
    for (int i = 0; i < BATCHES; i++)
        must(logstore_append(store, TOPIC, 0, records, BATCH, NULL, &error), "append");
    for (int round = 0; round < ROUNDS; round++) {
        double bare = time_pread(buffer);
        ratios[round] = bare / time_read(store);
    }
    logstore_close(&store);
    remove_all("store");
    report("sequential read with checks, of bare pread()", median(ratios, ROUNDS), "x", 0.4, true);
}

/* --- fsync -----------------------------------------------------------------------------------------------
 */

static void bench_synced(const char *bytes)
{
    double ratios[ROUNDS];
    struct logstore_record record = {.value = {bytes, RECORD}};
    struct logstore *store = make_store("store", LOGSTORE_FSYNC_ALWAYS, 1);
    int fd = open(in_folder("raw"), O_WRONLY | O_CREAT, 0600);
    must(fd >= 0, "open raw");
    for (int round = 0; round < ROUNDS; round++) {
        int64_t raw = 0, ours = 0;
        for (int i = 0; i < SYNCED; i++) {
            int64_t began = clock_monotonic_us();
            must(write(fd, bytes, RECORD) == RECORD && fsync(fd) == 0, "fsync");
            int64_t between = clock_monotonic_us();
            must(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error), "append");
            ours += clock_monotonic_us() - between;
            raw += between - began;
        }
        ratios[round] = (double)ours / (double)raw;
    }
    close(fd);
    logstore_close(&store);
    remove_all("raw");
    remove_all("store");
    report("append with fsync, of the time of write() and fsync()", median(ratios, ROUNDS), "x", 1.1, false);
}

/* --- opening after a kill --------------------------------------------------------------------------------
 */

enum { PARTITIONS = 100 };
static int64_t opening_bytes = 1000000000;

/* Appends to 100 partitions until it is killed in the midst of it. */
static void fill_and_die(const char *bytes)
{
    struct logstore_record records[BATCH];
    struct logstore *store = make_store("store", LOGSTORE_FSYNC_NEVER, PARTITIONS);
    fill_records(records, bytes);
    for (int64_t done = 0; done < opening_bytes; done += (int64_t)RECORD * BATCH)
        must(logstore_append(store, TOPIC, (uint32_t)(done / RECORD / BATCH % PARTITIONS), records, BATCH,
                             NULL, &error),
             "append");
    kill(getpid(), SIGKILL);
}

/* So that what is opened next has to come from the disk. */
static int forget_cached(const char *name, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)walk;
    int fd = type == FTW_F ? open(name, O_RDONLY) : -1;
    if (fd < 0)
        return type == FTW_F;
    int failed = fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0;
    return close(fd) != 0 || failed;
}

/* Opens the store, reads the last record of each partition and appends one more: all of it is in use then. */
static double time_opening(const char *bytes)
{
    struct logstore_record record = {.value = {bytes, RECORD}}, last;
    struct logstore_options options = {.fsync = LOGSTORE_FSYNC_NEVER};
    int64_t began = clock_monotonic_us(), start, end;
    struct logstore *store = logstore_open(in_folder("store"), &options, &error);
    must(store != NULL, "open");
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        must(logstore_offsets(store, TOPIC, partition, &start, &end, &error) && end > 0, "offsets");
        struct logstore_reader *reader = logstore_reader_open(store, TOPIC, partition, end - 1, &error);
        must(reader != NULL && logstore_read(reader, &last, &error) == LOGSTORE_READ_RECORD, "read");
        logstore_reader_close(&reader);
        must(logstore_append(store, TOPIC, partition, &record, 1, NULL, &error), "append");
    }
    double took = (double)(clock_monotonic_us() - began) / 1e6;
    logstore_close(&store);
    return took;
}

static void bench_opening(const char *bytes)
{
    enum { OPEN_FILES = 16 };
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0)
        fill_and_die(bytes);
    must(waitpid(child, NULL, 0) == child, "wait");
    printf("{\"bytes\":%lld}\n", (long long)opening_bytes);
    report("opening after kill -9, reading the end of 100 partitions and appending to them",
           time_opening(bytes), "s", 1, false);
    must(nftw(in_folder("store"), forget_cached, OPEN_FILES, FTW_PHYS) == 0, "forget what is cached");
    report("the same with nothing in memory", time_opening(bytes), "s", 1, false);
    remove_all("store");
}

/* --- observing -------------------------------------------------------------------------------------------
 */

static double observe(struct logstore_observer *observer)
{
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    const struct logstore_observed_commit *commits;
    size_t topic_count, group_count, count, total = 0;
    int64_t began = clock_monotonic_us();
    must(logstore_observe_topics(observer, &topics, &topic_count, &error), "observe");
    must(logstore_observe_groups(observer, &groups, &group_count, &error), "observe");
    for (size_t i = 0; i < group_count; i++) {
        must(logstore_observe_commits(observer, i, &commits, &count, &error), "observe");
        total += count;
    }
    must(logstore_observe_ends(observer, &error), "observe");
    double took = (double)(clock_monotonic_us() - began) / 1e3;
    must(total == 1000000, "a million commits");
    return took;
}

static void bench_observer(const char *bytes)
{
    enum { MANY = 10000, GROUPS = 100 };
    double times[ROUNDS];
    struct logstore *store = make_store("store", LOGSTORE_FSYNC_NEVER, MANY);
    struct logstore_commit *commits = calloc(MANY, sizeof *commits);
    (void)bytes;
    must(commits != NULL, "memory");
    for (uint32_t i = 0; commits != NULL && i < MANY; i++)
        commits[i] = (struct logstore_commit){TOPIC, i, i, STR_LITERAL("")};
    for (int group = 0; group < GROUPS; group++) {
        char name[16];
        snprintf(name, sizeof name, "group-%d", group);
        must(logstore_commit(store, str_of(name), commits, MANY, &error), "commit");
    }
    free(commits);
    struct logstore_observer *observer = logstore_observer_open(in_folder("store"), &error);
    must(observer != NULL, "observer");
    observe(observer);
    for (int round = 0; round < ROUNDS; round++)
        times[round] = observe(observer);
    logstore_observer_close(&observer);
    logstore_close(&store);
    remove_all("store");
    report("all offsets of 10,000 partitions and 100 groups", median(times, ROUNDS), "ms", 15, false);
}

static const struct {
    const char *name;
    void (*run)(const char *bytes);
} BENCHES[] = {{"append", bench_appends},
               {"read", bench_reads},
               {"fsync", bench_synced},
               {"observe", bench_observer},
               {"open", bench_opening}};

/* Usage: bench_logstore [NAME of one of the above [BYTES of the store that is opened]] */
int main(int argc, char **argv)
{
    char *bytes = malloc((size_t)RECORD * BATCH);
    must(bytes != NULL && mkdtemp(folder) != NULL, "set up");
    for (size_t i = 0; i < (size_t)RECORD * BATCH; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    if (argc > 2)
        opening_bytes = strtoll(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof BENCHES / sizeof *BENCHES; i++)
        if (argc < 2 || strcmp(argv[1], BENCHES[i].name) == 0)
            BENCHES[i].run(bytes);
    rmdir(folder);
    free(bytes);
    return missed;
}
