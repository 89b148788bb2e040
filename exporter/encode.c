#include "exporter/encode.h"

#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"
#include "exporter/metrics.h"

#include <stdlib.h>

/*
 * The page is a walk: metric by metric (so that families stay whole over several sources), source by source,
 * item by item. An item is what a level's render function takes at a time: mostly one subject, and for
 * partitions and positions all of a topic or subscription, whose labels are written once.
 */

struct page {
    struct view *view; /* owned */
    struct page_facts facts;
    unsigned metric; /* where the walk stands */
    size_t source, item;
    bool announced;    /* HELP and TYPE of the metric are written */
    struct buf prefix; /* name and labels of the samples to come */
    struct buf *out;
};

enum { PREFIX_LIMIT = 1 << 20, LONGEST_NUMBER = 32 };

/* --- samples ------------------------------------------------------------------------------------------- */

static void announce(struct page *page)
{
    const struct metric_row *row = metric_row((enum metric)page->metric);
    buf_add_format(page->out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                   metric_type_name(row->type));
    page->announced = true;
}

/* Writes the number without a sign at `at`, which has room for 20 digits; returns its end. */
static char *put_digits(char *at, uint64_t number)
{
    size_t count = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        count++;
    for (char *place = at + count; place > at; number /= 10)
        *--place = (char)('0' + number % 10);
    return at + count;
}

/* Writes value / unit exactly, in decimal: no float ever touches a value. */
static char *put_value(char *at, int64_t value, enum metric_unit unit)
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0)
        *at++ = '-';
    if (unit == METRIC_UNIT_COUNT)
        return put_digits(at, rest); /* most values: spares them two divisions */
    at = put_digits(at, rest / unit);
    uint64_t fraction = rest % unit;
    if (fraction == 0)
        return at;
    *at++ = '.';
    for (uint64_t place = unit / 10; fraction != 0; place /= 10) {
        *at++ = (char)('0' + fraction / place);
        fraction %= place;
    }
    return at;
}

/* Starts a line with the prefix; returns where it goes on, with room for `more` bytes, a value and a number.
 * NULL when there is no room. */
static char *begin_line(struct page *page, size_t more)
{
    if (!page->announced)
        announce(page);
    const struct buf *prefix = &page->prefix;
    char *start = buf_room(page->out, prefix->length + more + 2 * LONGEST_NUMBER);
    if (start == NULL)
        return NULL;
    memcpy(start, prefix->bytes, prefix->length);
    return start + prefix->length;
}

/* Ends at `at` the line that begin_line() started. */
static void end_line(struct page *page, char *at, int64_t value)
{
    *at++ = ' ';
    at = put_value(at, value, metric_row((enum metric)page->metric)->unit);
    *at++ = '\n';
    buf_claim(page->out, (size_t)(at - (page->out->bytes + page->out->length)));
}

/* A line: the prefix, `tail` (what closes the labels), and the value. */
static void add_sample(struct page *page, struct str tail, int64_t value)
{
    char *at = value == UNKNOWN ? NULL : begin_line(page, tail.length);
    if (at == NULL)
        return;
    memcpy(at, tail.bytes, tail.length);
    end_line(page, at + tail.length, value);
}

/* A line whose last label is a number: `partition="` is in the prefix already. */
static void add_numbered_sample(struct page *page, int32_t number, int64_t value)
{
    char *at = value == UNKNOWN ? NULL : begin_line(page, 0);
    if (at == NULL)
        return;
    at = put_digits(at, (uint64_t)number);
    *at++ = '"';
    *at++ = '}';
    end_line(page, at, value);
}

/* --- labels -------------------------------------------------------------------------------------------- */

static void begin_series(struct page *page)
{
    buf_reset(&page->prefix);
    buf_add_text(&page->prefix, metric_row((enum metric)page->metric)->name);
}

static bool needs_escape(struct str value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.bytes[i] == '\\' || value.bytes[i] == '"' || value.bytes[i] == '\n')
            return true;
    return false;
}

/* Label values are shown as UTF-8 first; then backslash, quote and newline are escaped, as the format wants.
 */
static void add_escaped(struct buf *buf, struct str value)
{
    if (utf8_plain_prefix(value) == value.length && !needs_escape(value)) {
        buf_add_str(buf, value);
        return;
    }
    struct buf shown = buf_make(PREFIX_LIMIT);
    utf8_add_shown(&shown, value);
    for (size_t i = 0; i < shown.length; i++) {
        char c = shown.bytes[i];
        if (c == '\\' || c == '"')
            buf_add_char(buf, '\\');
        if (c == '\n')
            buf_add_text(buf, "\\n");
        else
            buf_add_char(buf, c);
    }
    buf->failed |= shown.failed;
    buf_free(&shown);
}

/* Starts a label's value; the first label of a series opens the braces. */
static void begin_label(struct page *page, const char *name)
{
    struct buf *prefix = &page->prefix;
    bool first = prefix->length > 0 && prefix->bytes[prefix->length - 1] != '"';
    buf_add_char(prefix, first ? '{' : ',');
    buf_add_text(prefix, name);
    buf_add_text(prefix, "=\"");
}

static void add_label(struct page *page, const char *name, struct str value)
{
    begin_label(page, name);
    add_escaped(&page->prefix, value);
    buf_add_char(&page->prefix, '"');
}

static void begin_source_series(struct page *page, const struct source_view *source)
{
    begin_series(page);
    add_label(page, page->facts.program->cluster_label, str_of(source->status.cluster));
}

static void begin_group_series(struct page *page, const struct source_view *source, uint32_t group)
{
    begin_source_series(page, source);
    add_label(page, "consumergroup", source->snapshot->groups[group].name);
}

static const struct str CLOSED = {"}", 1};

/* --- one render function a level ----------------------------------------------------------------------- */

/* The measuring functions by metric, typed by level. */
union measure {
#define LEVEL(id, labels, meaning) int64_t (*id)(const struct id##_subject *);
    LEVEL_TABLE(LEVEL)
#undef LEVEL
};

static const union measure measures[METRICS] = {
#define METRIC(id, name, type, level, unit, help) [METRIC_##id] = {.level = measure_##id},
#include "exporter/metrics.def"
#undef METRIC
};

/* `source` is NULL for the levels of the process. */
typedef void render_item(struct page *page, union measure measure, const struct source_view *source,
                         size_t item);

static void render_process(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    (void)source, (void)item;
    begin_series(page);
    add_sample(page, STR_LITERAL(""), measure.process(&(struct process_subject){&page->facts}));
}

static void render_build(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    (void)source, (void)item;
    begin_series(page);
    add_label(page, "version", str_of(page->facts.program->version));
    add_label(page, "librdkafka_version", str_of(page->facts.program->librdkafka_version));
    add_sample(page, CLOSED, measure.build(&(struct build_subject){&page->facts}));
}

static void render_source(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, CLOSED, measure.source(&(struct source_subject){&source->status}));
}

static void render_source_info(struct page *page, union measure measure, const struct source_view *source,
                               size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_label(page, "kind", str_of(source->status.kind));
    add_label(page, "offsets", str_of(source->status.offsets));
    add_label(page, "rebalances", str_of(source->status.rebalances));
    add_sample(page, CLOSED, measure.source_info(&(struct source_info_subject){&source->status}));
}

static void render_stage(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct stage_subject subject = {&source->status, (enum poll_stage)item};
    begin_source_series(page, source);
    add_label(page, "stage", str_of(poll_stage_name(subject.stage)));
    add_sample(page, CLOSED, measure.stage(&subject));
}

static void render_judged(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, CLOSED, measure.judged(&(struct judged_subject){source->snapshot}));
}

static void render_cluster(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, CLOSED, measure.cluster(&(struct cluster_subject){source->snapshot}));
}

static void render_anomaly(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    struct anomaly_subject subject = {source->findings, (enum anomaly)item};
    begin_source_series(page, source);
    add_label(page, "kind", str_of(anomaly_name(subject.anomaly)));
    add_sample(page, CLOSED, measure.anomaly(&subject));
}

static void render_broker(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    struct broker_subject subject = {&source->snapshot->brokers[item]};
    struct buf id = buf_make(LONGEST_NUMBER);
    buf_add_int(&id, subject.broker->id);
    begin_source_series(page, source);
    add_label(page, "id", buf_str(&id));
    add_label(page, "address", subject.broker->address);
    add_sample(page, CLOSED, measure.broker(&subject));
    buf_free(&id);
}

static void render_topic(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct topic_subject subject = {&source->snapshot->topics[item]};
    begin_source_series(page, source);
    add_label(page, "topic", subject.topic->name);
    add_sample(page, CLOSED, measure.topic(&subject));
}

static void render_topic_info(struct page *page, union measure measure, const struct source_view *source,
                              size_t item)
{
    struct topic_info_subject subject = {&source->snapshot->topics[item]};
    const char *policy = cleanup_policy_name(subject.topic->config.cleanup_policy);
    begin_source_series(page, source);
    add_label(page, "topic", subject.topic->name);
    add_label(page, "cleanup_policy", str_of(policy != NULL ? policy : ""));
    add_sample(page, CLOSED, measure.topic_info(&subject));
}

static void render_partitions(struct page *page, union measure measure, const struct source_view *source,
                              size_t item)
{
    const struct snap_topic *topic = &source->snapshot->topics[item];
    begin_source_series(page, source);
    add_label(page, "topic", topic->name);
    begin_label(page, "partition");
    for (uint32_t i = 0; i < topic->partitions; i++) {
        const struct snap_partition *partition = &source->snapshot->partitions[topic->first_partition + i];
        struct partition_subject subject = {source->snapshot, partition};
        add_numbered_sample(page, partition->number, measure.partition(&subject));
    }
}

static void render_group(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct group_subject subject = {&source->snapshot->groups[item], &source->findings->groups[item]};
    begin_group_series(page, source, (uint32_t)item);
    add_sample(page, CLOSED, measure.group(&subject));
}

static void render_group_state(struct page *page, union measure measure, const struct source_view *source,
                               size_t item)
{
    for (int state = GROUP_STATE_UNKNOWN + 1; state < GROUP_STATES; state++) {
        struct group_state_subject subject = {&source->snapshot->groups[item], (enum group_state)state};
        begin_group_series(page, source, (uint32_t)item);
        add_label(page, "state", str_of(group_state_name(subject.state)));
        add_sample(page, CLOSED, measure.group_state(&subject));
    }
}

static void render_group_condition(struct page *page, union measure measure, const struct source_view *source,
                                   size_t item)
{
    for (int condition = 0; condition < CONDITIONS; condition++) {
        struct group_condition_subject subject = {&source->findings->groups[item], (enum condition)condition};
        begin_group_series(page, source, (uint32_t)item);
        add_label(page, "condition", str_of(condition_name(subject.condition)));
        add_sample(page, CLOSED, measure.group_condition(&subject));
    }
}

static void render_subscription(struct page *page, union measure measure, const struct source_view *source,
                                size_t item)
{
    const struct snap_subscription *subscription = &source->snapshot->subscriptions[item];
    begin_group_series(page, source, subscription->group);
    add_label(page, "topic", source->snapshot->topics[subscription->topic].name);
    add_sample(page, CLOSED,
               measure.subscription(&(struct subscription_subject){&source->findings->subscriptions[item]}));
}

static void render_positions(struct page *page, union measure measure, const struct source_view *source,
                             size_t item)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct snap_subscription *subscription = &snapshot->subscriptions[item];
    begin_group_series(page, source, subscription->group);
    add_label(page, "topic", snapshot->topics[subscription->topic].name);
    begin_label(page, "partition");
    for (uint32_t i = 0; i < subscription->positions; i++) {
        uint32_t p = subscription->first_position + i;
        struct position_subject subject = {&snapshot->positions[p], &source->findings->positions[p]};
        add_numbered_sample(page, snapshot->partitions[subject.position->partition].number,
                            measure.position(&subject));
    }
}

static void render_where(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct finding *finding = &source->findings->wheres[item];
    struct str topic = STR_LITERAL("");
    struct buf partition = buf_make(LONGEST_NUMBER);
    if (finding->subscription != NO_INDEX)
        topic = snapshot->topics[snapshot->subscriptions[finding->subscription].topic].name;
    if (finding->position != NO_INDEX)
        buf_add_int(&partition,
                    snapshot->partitions[snapshot->positions[finding->position].partition].number);
    begin_group_series(page, source, finding->group);
    add_label(page, "condition", str_of(condition_name(finding->condition)));
    add_label(page, "topic", topic);
    add_label(page, "partition", buf_str(&partition));
    add_sample(page, CLOSED, measure.where(&(struct where_subject){finding}));
    buf_free(&partition);
}

/* --- the walk ------------------------------------------------------------------------------------------ */

/* How many items a source has for a level; what is known only from a poll has none before the first. */
typedef size_t count_items(const struct source_view *source);

static size_t one(const struct source_view *source)
{
    (void)source;
    return 1;
}

static size_t stages(const struct source_view *source)
{
    (void)source;
    return POLL_STAGES;
}

static size_t one_judged(const struct source_view *source)
{
    return source->snapshot != NULL;
}

static size_t anomalies(const struct source_view *source)
{
    return source->findings != NULL ? ANOMALIES : 0;
}

static size_t brokers(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->broker_count : 0;
}

static size_t topics(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->topic_count : 0;
}

static size_t groups(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->group_count : 0;
}

static size_t subscriptions(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->subscription_count : 0;
}

static size_t wheres(const struct source_view *source)
{
    return source->findings != NULL ? source->findings->where_count : 0;
}

static const struct level {
    count_items *items; /* NULL: the process, once and without a source */
    render_item *render;
} levels[METRIC_LEVELS] = {
    [METRIC_LEVEL_process] = {NULL, render_process},
    [METRIC_LEVEL_build] = {NULL, render_build},
    [METRIC_LEVEL_source] = {one, render_source},
    [METRIC_LEVEL_source_info] = {one, render_source_info},
    [METRIC_LEVEL_stage] = {stages, render_stage},
    [METRIC_LEVEL_judged] = {one_judged, render_judged},
    [METRIC_LEVEL_cluster] = {one_judged, render_cluster},
    [METRIC_LEVEL_anomaly] = {anomalies, render_anomaly},
    [METRIC_LEVEL_broker] = {brokers, render_broker},
    [METRIC_LEVEL_topic] = {topics, render_topic},
    [METRIC_LEVEL_topic_info] = {topics, render_topic_info},
    [METRIC_LEVEL_partition] = {topics, render_partitions},
    [METRIC_LEVEL_group] = {groups, render_group},
    [METRIC_LEVEL_group_state] = {groups, render_group_state},
    [METRIC_LEVEL_group_condition] = {groups, render_group_condition},
    [METRIC_LEVEL_where] = {wheres, render_where},
    [METRIC_LEVEL_subscription] = {subscriptions, render_subscription},
    [METRIC_LEVEL_position] = {subscriptions, render_positions},
};

struct page *page_new(struct view *view, const struct page_facts *facts)
{
    struct page *page = MEM_NEW(struct page);
    page->view = view;
    page->facts = *facts;
    page->prefix = buf_make(PREFIX_LIMIT);
    return page;
}

static void next_metric(struct page *page)
{
    page->metric++;
    page->source = 0;
    page->item = 0;
    page->announced = false;
}

/* Renders the item where the walk stands, and moves on. */
static void step(struct page *page)
{
    const struct level *level = &levels[metric_row((enum metric)page->metric)->level];
    union measure measure = measures[page->metric];
    if (level->items == NULL) {
        level->render(page, measure, NULL, 0);
        next_metric(page);
        return;
    }
    if (page->source >= page->view->source_count) {
        next_metric(page);
        return;
    }
    const struct source_view *source = &page->view->sources[page->source];
    if (page->item >= level->items(source)) {
        page->source++;
        page->item = 0;
        return;
    }
    level->render(page, measure, source, page->item++);
}

bool page_render(struct page *page, struct buf *out, size_t wanted)
{
    page->out = out;
    while (page->metric < METRICS && out->length < wanted && buf_ok(out) && buf_ok(&page->prefix))
        step(page);
    out->failed |= page->prefix.failed;
    return page->metric < METRICS && buf_ok(out);
}

void page_free(struct page **page)
{
    if (*page == NULL)
        return;
    view_release(&(*page)->view);
    buf_free(&(*page)->prefix);
    free(*page);
    *page = NULL;
}
