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

/* Where a page goes back to when what was to come next doesn't fit any more. */
struct mark {
    struct cursor at;
    int64_t samples;
    size_t length; /* of the piece */
};

static struct mark mark_of(const struct page *page)
{
    const struct buf *out = page->writer.out;
    return (struct mark){page->at, page->writer.samples, out != NULL ? out->length : 0};
}

/* Where the buffer had no room for what came last, that is taken back, for the next piece to have it. A
 * buffer that has no room for it even while it is empty stays failed. */
static void take_back_what_failed(struct page *page, const struct mark *mark)
{
    struct buf *out = page->writer.out;
    if (out == NULL || buf_ok(out) || !buf_ok(&page->writer.prefix))
        return;
    page->at = mark->at;
    page->writer.samples = mark->samples;
    out->length = mark->length;
    out->failed = mark->length == page->start;
    page->full = true;
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
static void render_selected(struct page *page, const struct page_level *level,
                            const struct source_view *source)
{
    struct source_selection *selected = &page->selection.sources[page->at.source];
    int64_t topic = topic_of(level, page->at.item), group = group_of(level, source, page->at.item);
    if (!selection_shows(selected, topic, group))
        return;
    int64_t before = page->writer.samples;
    level->render(page, measures[page->at.metric], source, page->at.item);
    selection_count(selected, topic, group, page->writer.samples - before);
}

/* Renders what is left of the source's items, or as much of it as the piece takes. */
static void render_items(struct page *page, const struct page_level *level, const struct source_view *source)
{
    bool all = selection_is_all(&page->selection.sources[page->at.source]);
    size_t items = level->items(source);
    while (page->at.item < items && !page_piece_is_full(page)) {
        struct mark before = mark_of(page);
        if (all)
            level->render(page, measures[page->at.metric], source, page->at.item);
        else
            render_selected(page, level, source);
        page->at.item += page->at.line == 0;
        take_back_what_failed(page, &before);
    }
    if (page->at.item >= items)
        next_source(page);
}

static void render_of_source(struct page *page, const struct source_view *source)
{
    const struct page_level *level = level_of(page, source);
    if (level == NULL)
        next_source(page);
    else
        render_items(page, level, source);
}

static void render_of_process(struct page *page, const struct page_level *level)
{
    struct mark before = mark_of(page);
    level->render(page, measures[page->at.metric], NULL, 0);
    next_metric(page);
    take_back_what_failed(page, &before);
}

/* Takes the next step of the walk. */
static void step(struct page *page)
{
    const struct metric_row *row = metric_row(page->at.metric);
    const struct page_level *level = &page_levels[row->level];
    const struct page_policy *policy = page->view->policy;
    bool hidden = policy != NULL && policy->hidden[page->at.metric], of_process = level->items == NULL;
    page->writer.unit = row->unit;
    if (!hidden && of_process)
        render_of_process(page, level);
    else if (hidden || page->at.source >= page->view->source_count)
        next_metric(page);
    else
        render_of_source(page, &page->view->sources[page->at.source]);
}

/* --- a page -------------------------------------------------------------------------------------------- */

/* Goes back to where nothing is rendered. */
static void rewind_page(struct page *page)
{
    page->at = (struct cursor){0};
    page->begun = (struct begun){.group = NO_INDEX};
    page->writer.samples = 0;
    page->bytes = 0;
}

/* How many series the process has at the most: some aren't known at every moment. */
static int64_t most_of_process(const struct page_policy *policy)
{
    int64_t most = 0;
    for (int metric = METRIC_FIRST_OF_PROCESS; metric < METRICS; metric++)
        most += !policy->hidden[metric];
    return most;
}

/* Walks once without writing, to count what each group and topic has, and leaves out what is too much. The
 * process has room for all that it might tell: so what is left out depends on the view alone, and is the same
 * on each of its pages. */
static void limit_series(struct page *page, const struct page_policy *policy)
{
    selection_begin_count(&page->selection, page->view);
    while (page->at.metric < METRIC_FIRST_OF_PROCESS)
        step(page);
    page->dropped = selection_limit(&page->selection, page->view, page->writer.samples,
                                    policy->max_series - most_of_process(policy));
    rewind_page(page);
}

struct page *page_new(struct view *view, const struct page_facts *facts, enum page_format format,
                      const struct page_filter *filter)
{
    struct page *page = MEM_NEW(struct page);
    page->view = view;
    page->facts = *facts;
    page->format = format;
    page->writer = line_writer_make();
    page->begun = (struct begun){.group = NO_INDEX};
    page->selection = selection_make(view, filter);
    if (view->policy != NULL && view->policy->max_series > 0)
        limit_series(page, view->policy);
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

bool page_piece_is_full(const struct page *page)
{
    const struct buf *out = page->writer.out;
    return page->full || (out != NULL && (out->length >= page->wanted || !buf_ok(out)));
}

/* Renders up to the metric `end`, as far as the piece takes. */
static void render_until(struct page *page, enum metric end, struct buf *out, size_t wanted)
{
    page->writer.out = out;
    page->wanted = wanted;
    page->start = out->length;
    page->full = false;
    while (page->at.metric < end && !page_piece_is_full(page))
        step(page);
    out->failed |= page->writer.prefix.failed;
}

bool page_render(struct page *page, struct buf *out, size_t wanted)
{
    render_until(page, METRICS, out, wanted);
    if (page->at.metric == METRICS && page->format == PAGE_OPENMETRICS && buf_ok(out)) {
        struct mark before = mark_of(page);
        buf_add_text(out, "# EOF\n");
        take_back_what_failed(page, &before);
    }
    page->bytes += out->length - page->start;
    return buf_ok(out) && (page->full || page->at.metric < METRICS);
}

/* --- its length ---------------------------------------------------------------------------------------- */

enum { SCRATCH = 64 * 1024, SCRATCH_LIMIT = 64 * 1024 * 1024 };

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
