#include "exporter/demo_stories.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "exporter/demo_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 200, SESSION_TIMEOUT_MS = 6000, FOR_EVER = 0 };

static const int64_t second_ms = 1000, hour_ms = 3600 * 1000;

/* What a reader does with a message: false when it must not be committed, for it isn't done. */
typedef bool process_message(const struct logstore_record *record, const struct logstore_source *source);

/* How a story goes: a member joins, reads, leaves and rests, again and again. */
struct plot {
    enum demo_topic topic;
    int64_t begin_ms; /* how old the messages are at which the group begins */
    int64_t pause_ms; /* from one read to the next */
    size_t at_once;   /* messages that one read takes at most */
    unsigned reads;   /* before it leaves; FOR_EVER */
    int64_t rest_ms;  /* until it comes back; FOR_EVER */
    process_message *process;
    bool (*tell)(const struct story *story, unsigned member, struct logstore *store, struct error *error);
};

/* --- reading ------------------------------------------------------------------------------------------- */

static struct logstore_consumer *join(const struct story *story, struct logstore *store,
                                      int64_t max_poll_interval_ms, struct error *error)
{
    struct str topic = demo_topic_name(story->plot->topic);
    struct logstore_consumer_options options = {
        .client_id = str_of(story->group),
        .session_timeout_ms = SESSION_TIMEOUT_MS,
        .max_poll_interval_ms = max_poll_interval_ms,
    };
    return logstore_consumer_join(store, str_of(story->group), &topic, 1, &options, error);
}

/* Whether what is wrong will be right with the next poll: the group has gone on without this member, or
 * retention has taken what it was about to read. */
static bool forgive(struct error *error)
{
    if (error->code != ERROR_CONFLICT && error->code != ERROR_NOT_FOUND)
        return false;
    error_clear(error);
    return true;
}

/* One read and a commit. Tells how many messages it took, done or not; false on an error. */
static bool read_once(const struct story *story, struct logstore_consumer *consumer, size_t *count,
                      struct error *error)
{
    const struct plot *plot = story->plot;
    for (*count = 0; *count < plot->at_once; ++*count) {
        struct logstore_record record;
        struct logstore_source source;
        enum logstore_poll polled = logstore_consumer_poll(consumer, 0, &record, &source, error);
        if (polled == LOGSTORE_POLL_FAILED)
            return forgive(error);
        if (polled != LOGSTORE_POLL_RECORD)
            break;
        if (plot->process != NULL && !plot->process(&record, &source)) {
            if (!logstore_consumer_seek(consumer, source.topic, source.partition, record.offset, error))
                return forgive(error);
            break;
        }
    }
    return logstore_consumer_commit(consumer, error) || forgive(error);
}

/* Ends the membership: by leaving, or, when something failed, without. */
static bool leave(struct logstore_consumer **consumer, bool done, struct error *error)
{
    if (done)
        return logstore_consumer_leave(consumer, error);
    logstore_consumer_abandon(consumer);
    return false;
}

static bool read_and_leave(const struct story *story, struct logstore *store, struct error *error)
{
    const struct plot *plot = story->plot;
    struct logstore_consumer *consumer = join(story, store, 0, error);
    bool done = consumer != NULL;
    for (unsigned i = 0; done && (plot->reads == FOR_EVER || i < plot->reads); i++) {
        size_t count;
        done = read_once(story, consumer, &count, error);
        demo_pause_ms(plot->pause_ms);
    }
    return leave(&consumer, done, error);
}

/* Sets the group's offsets, which must have no members. */
static bool reset(const struct story *story, struct logstore *store, enum logstore_target target,
                  int64_t value, struct error *error)
{
    enum demo_topic topic = story->plot->topic;
    for (uint32_t partition = 0; partition < demo_topic_partitions(topic); partition++) {
        struct logstore_reset_result result;
        if (!logstore_reset_group(store, str_of(story->group), demo_topic_name(topic), partition, target,
                                  value, false, &result, error))
            return false;
    }
    return true;
}

static void rest(const struct story *story)
{
    do
        demo_pause_ms(story->plot->rest_ms == FOR_EVER ? hour_ms : story->plot->rest_ms);
    while (story->plot->rest_ms == FOR_EVER);
}

/* --- what messages meet with --------------------------------------------------------------------------- */

static bool older_than(const struct logstore_record *record, int64_t age_ms)
{
    return clock_wall_ms() - record->timestamp >= age_ms;
}

/* The file that stands for a mailer that has been mended; set in the process that tells of it. */
static char *mended;

char *demo_stories_mended(const char *folder)
{
    static const char name[] = "mailer-is-mended";
    size_t size = strlen(folder) + sizeof name + 1;
    char *path = MEM_ARRAY(size, char);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* The twentieth mail of partition 0, and what follows, has an address that the program doesn't understand. */
static bool choke(const struct logstore_record *record, const struct logstore_source *source)
{
    return source->partition != 0 || record->offset < 20 || access(mended, F_OK) == 0;
}

/* Late, but steadily so, and within the objective. */
static bool be_late(const struct logstore_record *record, const struct logstore_source *source)
{
    (void)source;
    return older_than(record, 12 * second_ms);
}

static bool be_late_with_bestseller(const struct logstore_record *record,
                                    const struct logstore_source *source)
{
    return source->partition != demo_hot_partition() || be_late(record, source);
}

/* When it is started again it gets as far as it was at first. */
static bool read_up_to_risk(const struct logstore_record *record, const struct logstore_source *source)
{
    (void)source;
    return older_than(record, DEMO_RISKY_AGE_MS);
}

/* --- how stories go ------------------------------------------------------------------------------------ */

static bool read_and_rest(const struct story *story, unsigned member, struct logstore *store,
                          struct error *error)
{
    (void)member;
    while (read_and_leave(story, store, error))
        rest(story);
    return false;
}

/* Whenever something was left unread, somebody sets the bookmark to the end to be rid of it, and starts the
 * group again a moment later. */
static bool skip(const struct story *story, unsigned member, struct logstore *store, struct error *error)
{
    (void)member;
    for (;;) {
        if (!read_and_leave(story, store, error))
            return false;
        rest(story);
        if (!reset(story, store, LOGSTORE_TO_LATEST, 0, error))
            return false;
        demo_pause_ms(4 * second_ms);
    }
}

/* Fifty minutes are read again, until there is nothing left to be read. */
static bool replay(const struct story *story, unsigned member, struct logstore *store, struct error *error)
{
    (void)member;
    for (;;) {
        rest(story);
        if (!reset(story, store, LOGSTORE_TO_TIME, clock_wall_ms() - 50 * 60 * second_ms, error))
            return false;
        struct logstore_consumer *consumer = join(story, store, 0, error);
        bool done = consumer != NULL, behind = true;
        while (done && behind) {
            size_t count;
            done = read_once(story, consumer, &count, error);
            /* A whole read's worth means that there is more; right after joining there is nothing yet. */
            behind = count == story->plot->at_once || logstore_consumer_generation(consumer) == 0;
            demo_pause_ms(story->plot->pause_ms);
        }
        if (!leave(&consumer, done, error))
            return false;
    }
}

/* After a while comes a message on which a member works longer than it may. The group goes on without it,
 * until it is back, which is the next rebalance; meanwhile messages pile up. */
static bool spiral(const struct story *story, unsigned member, struct logstore *store, struct error *error)
{
    static const int64_t allowed_ms = 2000;
    struct logstore_consumer *consumer = join(story, store, allowed_ms, error);
    bool done = consumer != NULL;
    while (done) {
        for (unsigned i = 0; done && i < story->plot->reads * (member + 2) / 2; i++) {
            size_t count;
            done = read_once(story, consumer, &count, error);
            demo_pause_ms(story->plot->pause_ms);
        }
        demo_pause_ms(allowed_ms + allowed_ms / 2);
    }
    return leave(&consumer, false, error);
}

/* --- the stories --------------------------------------------------------------------------------------- */

/* Topic, age of what it begins with, pause, at once, reads, rest, process, tell. Those that stop before
 * retention commit often enough before for their habits to be known, which has them judged sooner, and leave
 * before it could be said that they are slow. */
static const struct plot loses = {DEMO_SHIPMENTS, DEMO_LOST_AGE_MS, 900, 1, 27, FOR_EVER,
                                  NULL,           read_and_rest};
static const struct plot risks = {
    DEMO_SHIPMENTS, DEMO_RISKY_AGE_MS, 900, 10, 27, 2 * 3600 * 1000, read_up_to_risk, read_and_rest,
};
static const struct plot stops = {DEMO_CLICKS, 0, TICK_MS, 50, 50, FOR_EVER, NULL, read_and_rest};
static const struct plot gets_stuck = {DEMO_EMAILS, 0, TICK_MS, 10, FOR_EVER, 0, choke, read_and_rest};
static const struct plot spirals = {DEMO_PAYMENTS, 0, TICK_MS, 1, 25, 0, NULL, spiral};
static const struct plot falls_behind = {DEMO_CLICKS, 0, 400, 1, FOR_EVER, 0, NULL, read_and_rest};
static const struct plot is_late = {DEMO_PROFILES, 0, TICK_MS, 20, FOR_EVER, 0, be_late, read_and_rest};
static const struct plot skips = {DEMO_ORDERS, 0, TICK_MS, 500, 300, 12 * 1000, NULL, skip};
static const struct plot is_skewed = {
    DEMO_VIEWS, 0, TICK_MS, 40, FOR_EVER, 0, be_late_with_bestseller, read_and_rest,
};
static const struct plot is_idle = {DEMO_EMAILS, 0, TICK_MS, 50, FOR_EVER, 0, NULL, read_and_rest};
static const struct plot replays = {DEMO_ORDERS, 0, TICK_MS, 40, FOR_EVER, 10 * 1000, NULL, replay};
static const struct plot keeps_up_with_orders = {DEMO_ORDERS, 0, TICK_MS, 500,
                                                 FOR_EVER,    0, NULL,    read_and_rest};
static const struct plot keeps_up_with_views = {DEMO_VIEWS, 0, TICK_MS, 500,
                                                FOR_EVER,   0, NULL,    read_and_rest};

static const struct story stories[] = {
    {"warehouse", "data_lost", "it stops, a day late, and retention deletes what it hasn't read", &loses, 1},
    {"invoices", "retention_risk", "it stops as well, with three hours left", &risks, 1},
    {"reports", "stopped", "nobody reads any more, and messages pile up", &stops, 1},
    {"mailer", "stuck", "one message makes it fail, and it tries it again for ever", &gets_stuck, 2},
    {"fraud-check", "death_spiral", "members work too long, are thrown out, and come back", &spirals, 2},
    {"search-index", "falling_behind", "it reads half as fast as is written, and never catches up",
     &falls_behind, 1},
    {"directory", "compaction_risk", "it is late on a topic that is compacted", &is_late, 1},
    {"loyalty", "skipped", "its bookmark was set to the end, over what it hadn't read", &skips, 1},
    {"recommendations", "skewed", "one hot key: one partition is late, the others are not", &is_skewed, 4},
    {"notifications", "idle_members", "three members for two partitions", &is_idle, 3},
    {"audit", "replaying", "sent back fifty minutes on purpose, and catching up", &replays, 1},
    {"billing", "ok", "it keeps up", &keeps_up_with_orders, 1},
    {"storefront", "ok", "it keeps up, too", &keeps_up_with_views, 2},
};

enum { STORIES = sizeof stories / sizeof *stories };

const struct story *demo_stories(size_t *count)
{
    *count = STORIES;
    return stories;
}

/* The group has read all that is older than its story says. */
static bool begin(const struct story *story, struct logstore *store, int64_t now, struct error *error)
{
    enum demo_topic topic = story->plot->topic;
    for (uint32_t partition = 0; partition < demo_topic_partitions(topic); partition++) {
        struct logstore_commit commit = {.topic = demo_topic_name(topic), .partition = partition};
        if (!logstore_offset_for_time(store, commit.topic, partition, now - story->plot->begin_ms,
                                      &commit.offset, error) ||
            !logstore_commit(store, str_of(story->group), &commit, 1, error))
            return false;
    }
    return true;
}

bool demo_stories_prepare(const char *folder, struct error *error)
{
    int64_t now = clock_wall_ms();
    struct logstore *store = demo_store_open(folder, LOGSTORE_WRITE, error);
    bool done = store != NULL;
    for (size_t i = 0; done && i < STORIES; i++)
        done = begin(&stories[i], store, now, error);
    logstore_close(&store);
    return done;
}

void demo_stories_tell(const struct story *story, unsigned member, const char *folder, struct error *error)
{
    struct logstore *store = demo_store_open(folder, LOGSTORE_WRITE, error);
    mended = demo_stories_mended(folder);
    if (store != NULL)
        story->plot->tell(story, member, store, error);
    logstore_close(&store);
    free(mended);
}
