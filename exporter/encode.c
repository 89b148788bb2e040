#include "exporter/encode.h"

#include "exporter/base/mem.h"
#include "exporter/encode_page.h"

#include <stdlib.h>

static const union measure measures[METRICS] = {
#define METRIC(id, name, type, level, unit, help) [METRIC_##id] = {.level = measure_##id},
#include "exporter/metrics.def"
#undef METRIC
};

/* --- what stands above the samples --------------------------------------------------------------------- */

static bool ends_in(struct str name, struct str ending)
{
    return name.length > ending.length &&
           memcmp(name.bytes + name.length - ending.length, ending.bytes, ending.length) == 0;
}

/* The name of the metric's family: OpenMetrics names it without the _total of its samples. */
static struct str family_name(const struct page *page, const struct metric_row *row)
{
    struct str name = str_of(row->name);
    if (page->format == PAGE_OPENMETRICS && row->type == METRIC_TYPE_COUNTER)
        name.length -= strlen("_total");
    return name;
}

static void add_comment(struct buf *out, const char *kind, struct str name, struct str text)
{
    buf_add_text(out, kind);
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    buf_add_str(out, text);
    buf_add_char(out, '\n');
}

/* A unit is declared only where the family's name ends in it, as OpenMetrics wants. */
static void add_unit(struct buf *out, struct str name)
{
    static const struct str units[] = {{"_seconds", 8}, {"_bytes", 6}, {"_ratio", 6}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ends_in(name, units[i]))
            add_comment(out, "# UNIT ", name, (struct str){units[i].bytes + 1, units[i].length - 1});
}

void page_announce(struct page *page)
{
    const struct metric_row *row = metric_row(page->at.metric);
    struct str name = family_name(page, row);
    struct buf *out = page->writer.out;
    add_comment(out, "# HELP ", name, str_of(row->help));
    add_comment(out, "# TYPE ", name, str_of(metric_type_name(row->type)));
    if (page->format == PAGE_OPENMETRICS)
        add_unit(out, name);
    page->at.announced = true;
}

/* --- the walk ------------------------------------------------------------------------------------------ */

static void next_metric(struct page *page)
{
    page->at.metric++;
    page->at.source = 0;
    page->at.item = 0;
    page->at.announced = false;
}

static void next_source(struct page *page)
{
    page->at.source++;
    page->at.item = 0;
}

/* What is shown of the source at the metric's level; NULL: nothing. */
static const struct page_level *level_of(const struct page *page, const struct source_view *source)
{
    const struct page_level *level = &page_levels[metric_row(page->at.metric)->level];
    if (!page->selection.sources[page->at.source].shown)
        return NULL;
    return source->status.granularity <= level->coarsest ? level : level->coarser;
}

/* The topic or the group that an item is about; NO_INDEX where there is none. */
static int64_t topic_of(const struct page_level *level, size_t item)
{
    return level->scope == SCOPE_TOPIC ? (int64_t)item : NO_INDEX;
}

static int64_t group_of(const struct page_level *level, const struct source_view *source, size_t item)
{
    switch (level->scope) {
    case SCOPE_GROUP:
        return (int64_t)item;
    case SCOPE_SUBSCRIPTION:
        return source->snapshot->subscriptions[item].group;
    case SCOPE_WHERE:
        return source->findings->wheres[item].group;
    default:
        return NO_INDEX;
    }
}

/* Renders the item, or as much of it as the piece takes, unless it was left out. */
static void step_item(struct page *page, const struct page_level *level, const struct source_view *source)
{
    struct source_selection *selected = &page->selection.sources[page->at.source];
    int64_t topic = topic_of(level, page->at.item), group = group_of(level, source, page->at.item);
    if ((topic == NO_INDEX || selected->topics[topic]) && (group == NO_INDEX || selected->groups[group])) {
        int64_t before = page->writer.samples;
        level->render(page, measures[page->at.metric], source, page->at.item);
        if (topic != NO_INDEX)
            selected->topic_series[topic] += page->writer.samples - before;
        if (group != NO_INDEX)
            selected->group_series[group] += page->writer.samples - before;
    }
    page->at.item += page->at.line == 0;
}

/* Takes the next step of the walk. */
static void step(struct page *page)
{
    const struct metric_row *row = metric_row(page->at.metric);
    const struct page_level *process = &page_levels[row->level];
    const struct page_policy *policy = page->view->policy;
    page->writer.unit = row->unit;
    bool hidden = policy != NULL && policy->hidden[page->at.metric];
    if (!hidden && process->items == NULL)
        process->render(page, measures[page->at.metric], NULL, 0);
    if (hidden || process->items == NULL || page->at.source >= page->view->source_count) {
        next_metric(page);
    } else {
        const struct source_view *source = &page->view->sources[page->at.source];
        const struct page_level *level = level_of(page, source);
        if (level == NULL || page->at.item >= level->items(source))
            next_source(page);
        else
            step_item(page, level, source);
    }
}

/* --- a page -------------------------------------------------------------------------------------------- */

/* Walks once without writing, to count what each group and topic has, and leaves out what is too much. */
static void limit_series(struct page *page, int64_t most)
{
    while (page->at.metric < METRICS)
        step(page);
    int64_t room = most, count = page->writer.samples;
    for (size_t i = 0; i < page->view->source_count; i++) {
        const struct snapshot *snapshot = page->view->sources[i].snapshot;
        const struct source_selection *selected = &page->selection.sources[i];
        /* What belongs to no group or topic always stays. */
        for (uint32_t g = 0; snapshot != NULL && g < snapshot->group_count; g++)
            count -= selected->group_series[g];
        for (uint32_t t = 0; snapshot != NULL && t < snapshot->topic_count; t++)
            count -= selected->topic_series[t];
    }
    room -= count;
    if (page->writer.samples > most)
        page->dropped = selection_limit(&page->selection, page->view, room);
    page->at.metric = 0;
    page->writer.samples = 0;
}

struct page *page_new(struct view *view, const struct page_facts *facts, enum page_format format,
                      const struct page_filter *filter)
{
    struct page *page = MEM_NEW(struct page);
    page->view = view;
    page->facts = *facts;
    page->format = format;
    page->writer = line_writer_make();
    page->group = NO_INDEX;
    page->selection = selection_make(view, filter);
    if (view->policy != NULL && view->policy->max_series > 0)
        limit_series(page, view->policy->max_series);
    return page;
}

int64_t page_dropped(const struct page *page)
{
    return page->dropped;
}

struct page_so_far page_so_far(const struct page *page)
{
    size_t length = page->writer.out != NULL ? page->writer.out->length : 0;
    return (struct page_so_far){.series = page->writer.samples,
                                .dropped = page->dropped,
                                .bytes = (int64_t)(page->bytes + length - page->start)};
}

/* Where the buffer has no room for what was to come next, that is taken back, for the next piece to have it.
 * A buffer that has no room for it even while it is empty stays failed. */
static bool take_back(struct page *page, const struct cursor *before, int64_t samples, size_t length)
{
    struct buf *out = page->writer.out;
    if (buf_ok(out) || !buf_ok(&page->writer.prefix))
        return false;
    page->at = *before;
    page->writer.samples = samples;
    out->length = length;
    out->failed = length == page->start;
    return true;
}

/* Renders up to the metric `end`, as far as the piece takes. True when something was taken back. */
static bool render_until(struct page *page, enum metric end, struct buf *out, size_t wanted)
{
    page->writer.out = out;
    page->wanted = wanted;
    page->start = out->length;
    bool full = false;
    while (page->at.metric < end && out->length < wanted && buf_ok(out) && !full) {
        struct cursor before = page->at;
        int64_t samples = page->writer.samples;
        size_t length = out->length;
        step(page);
        full = take_back(page, &before, samples, length);
    }
    out->failed |= page->writer.prefix.failed;
    return full;
}

bool page_render(struct page *page, struct buf *out, size_t wanted)
{
    bool full = render_until(page, METRICS, out, wanted);
    if (page->at.metric == METRICS && page->format == PAGE_OPENMETRICS && buf_ok(out)) {
        size_t length = out->length;
        buf_add_text(out, "# EOF\n");
        full = take_back(page, &page->at, page->writer.samples, length);
    }
    page->bytes += out->length - page->start;
    return full || (page->at.metric < METRICS && buf_ok(out));
}

/* --- its length ---------------------------------------------------------------------------------------- */

enum { SCRATCH = 64 * 1024, SCRATCH_LIMIT = 64 * 1024 * 1024 };

/* Goes back to where nothing is rendered. */
static void rewind_page(struct page *page)
{
    page->at = (struct cursor){0};
    page->group = NO_INDEX;
    page->writer.samples = 0;
    page->bytes = 0;
}

size_t page_length(struct page *page, struct page_extent *of_view)
{
    struct buf scratch = buf_make(SCRATCH_LIMIT);
    page->at.metric = of_view->bytes > 0 ? METRIC_FIRST_OF_PROCESS : 0;
    page->bytes = of_view->bytes;
    page->writer.samples = of_view->series;
    while (page->at.metric < METRIC_FIRST_OF_PROCESS && buf_ok(&scratch)) {
        buf_reset(&scratch);
        render_until(page, METRIC_FIRST_OF_PROCESS, &scratch, SCRATCH);
        page->bytes += scratch.length - page->start;
    }
    if (buf_ok(&scratch))
        *of_view = (struct page_extent){page->bytes, page->writer.samples};
    for (bool more = buf_ok(&scratch); more;) {
        buf_reset(&scratch);
        more = page_render(page, &scratch, SCRATCH);
    }
    size_t length = buf_ok(&scratch) ? page->bytes : 0;
    buf_free(&scratch);
    rewind_page(page);
    return length;
}

void page_free(struct page **page)
{
    if (*page == NULL)
        return;
    selection_free(&(*page)->selection);
    view_release(&(*page)->view);
    line_writer_free(&(*page)->writer);
    free(*page);
    *page = NULL;
}
