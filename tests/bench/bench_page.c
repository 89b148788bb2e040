/*
 * The page of a cluster with 100,000 positions, without the cluster: what rendering it costs, or a server
 * that serves it to whatever measures it.
 *
 *     bench_page render             prints nanoseconds a series, bytes and series as JSON
 *     bench_page serve PORT [MS]    serves it until standard input ends; with MS, a new poll's result comes
 *                                   every so many milliseconds
 */

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "exporter/encode.h"
#include "exporter/http.h"

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TOPICS = 10, PARTITIONS = 100, GROUPS = 100, ROUNDS = 15, PIECE = 64 * 1024 };

static const struct program_facts program = {
    .version = "0", .librdkafka_version = "0", .cluster_label = "cluster"};

static struct source_status status(void)
{
    return (struct source_status){
        .cluster = "default",
        .kind = "kafka",
        .offsets = "admin",
        .rebalances = "sampled",
        .polled = true,
        .up = true,
        .last_success = clock_wall_ms(),
        .poll_interval_ms = 15000,
    };
}

/* Every group has committed on every partition, a little behind the end. */
static struct snapshot *make_snapshot(int64_t now)
{
    struct snapshot *s = snapshot_new();
    char name[32];
    for (int t = 0; t < TOPICS; t++) {
        snprintf(name, sizeof name, "topic-%d", t);
        int64_t topic = snapshot_add_topic(s, str_of(name), PARTITIONS);
        struct snap_partition *partitions = &s->partitions[s->topics[topic].first_partition];
        for (int p = 0; p < PARTITIONS; p++) {
            partitions[p].start = 1000 + p;
            partitions[p].end = 1234567 + p * 89;
            partitions[p].leader = partitions[p].preferred_leader = 1;
            partitions[p].replicas = partitions[p].in_sync_replicas = 3;
        }
    }
    for (int g = 0; g < GROUPS; g++) {
        snprintf(name, sizeof name, "group-%03d", g);
        uint32_t group = (uint32_t)snapshot_add_group(s, str_of(name));
        s->groups[group].state = GROUP_STATE_STABLE;
        s->groups[group].members = 4;
        for (uint32_t t = 0; t < TOPICS; t++)
            for (int p = 0; p < PARTITIONS; p++)
                snapshot_add_position(s, group, t, p, 1234567 + p * 89 - (g + p) % 600);
    }
    snapshot_seal(s, now);
    return s;
}

static struct findings *make_findings(const struct snapshot *s)
{
    struct findings *f = findings_new(s);
    for (uint32_t i = 0; i < s->position_count; i++) {
        const struct snap_position *position = &s->positions[i];
        f->positions[i].lag = position_lag(&s->partitions[position->partition], position);
        f->positions[i].lag_ms = f->positions[i].lag * 10;
    }
    for (uint32_t i = 0; i < s->subscription_count; i++) {
        f->subscriptions[i].lag_sum = 1000 + i;
        f->subscriptions[i].lag_max = 100 + i;
        f->subscriptions[i].lag_ms_max = 12345 + i;
    }
    return f;
}

static void publish_poll_result(struct publish *publish)
{
    struct source_status now = status();
    struct snapshot *snapshot = make_snapshot(now.last_success);
    publish_poll(publish, 0, &now, snapshot, make_findings(snapshot));
}

/* --- rendering ----------------------------------------------------------------------------------------- */

static size_t count_series(struct str piece)
{
    size_t series = 0;
    for (const char *at = piece.bytes, *end = at + piece.length; at < end; series++) {
        series -= *at == '#';
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
    return series;
}

/* CPU time of this thread: others may keep the machine busy. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
        abort();
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Renders a page; returns the time in nanoseconds and sets what it was. Counting isn't timed. */
static int64_t render(struct publish *publish, size_t *bytes, size_t *series)
{
    struct page_facts facts = page_facts_now(&program);
    struct page *page = page_new(publish_view(publish), &facts, PAGE_TEXT, NULL);
    struct buf piece = buf_make(1 << 24);
    int64_t taken = 0;
    *bytes = *series = 0;
    for (bool more = true; more;) {
        buf_reset(&piece);
        int64_t start = cpu_ns();
        more = page_render(page, &piece, PIECE);
        taken += cpu_ns() - start;
        *bytes += piece.length;
        *series += count_series(buf_str(&piece));
    }
    buf_free(&piece);
    page_free(&page);
    return taken;
}

static void measure_rendering(struct publish *publish)
{
    size_t bytes = 0, series = 1;
    int64_t best = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t taken = render(publish, &bytes, &series);
        best = taken < best ? taken : best;
    }
    printf("{\"ns_a_series\": %.1f, \"bytes\": %zu, \"series\": %zu}\n", (double)best / (double)series, bytes,
           series);
}

/* --- serving ------------------------------------------------------------------------------------------- */

struct polling {
    struct publish *publish;
    int64_t interval_ms;
    atomic_bool stop;
};

static void *poll(void *context)
{
    struct polling *polling = context;
    while (!atomic_load(&polling->stop)) {
        usleep((useconds_t)polling->interval_ms * 1000);
        publish_poll_result(polling->publish);
    }
    return NULL;
}

static int serve(struct publish *publish, const char *port, int64_t interval_ms)
{
    struct error error = {0};
    struct http_config config = {
        .host = "127.0.0.1", .port = (uint16_t)strtoul(port, NULL, 10), .program = &program};
    struct http *http = http_start(&config, publish, &error);
    if (http == NULL) {
        fprintf(stderr, "%s\n", error_text(&error));
        error_clear(&error);
        return 1;
    }
    struct polling polling = {.publish = publish, .interval_ms = interval_ms};
    pthread_t thread;
    bool polls = interval_ms > 0 && pthread_create(&thread, NULL, poll, &polling) == 0;
    while (getchar() != EOF)
        ;
    atomic_store(&polling.stop, true);
    if (polls)
        pthread_join(thread, NULL);
    http_stop(&http);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 2); /* both as in the daemon */
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    struct source_status first = status();
    struct publish *publish = publish_new(&first, 1);
    publish_poll_result(publish);
    int code = 0;
    if (argc == 2 && strcmp(argv[1], "render") == 0)
        measure_rendering(publish);
    else if (argc >= 3 && strcmp(argv[1], "serve") == 0)
        code = serve(publish, argv[2], argc > 3 ? strtoll(argv[3], NULL, 10) : 0);
    else
        code = 2;
    publish_free(&publish);
    return code;
}
