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
    const struct metric_row *row = metric_row(page->metric);
    struct str name = family_name(page, row);
    struct buf *out = page->writer.out;
    add_comment(out, "# HELP ", name, str_of(row->help));
    add_comment(out, "# TYPE ", name, str_of(metric_type_name(row->type)));
    if (page->format == PAGE_OPENMETRICS)
        add_unit(out, name);
    page->announced = true;
}

/* --- the walk ------------------------------------------------------------------------------------------ */

struct page *page_new(struct view *view, const struct page_facts *facts, enum page_format format)
{
    struct page *page = MEM_NEW(struct page);
    page->view = view;
    page->facts = *facts;
    page->format = format;
    page->writer = line_writer_make();
    return page;
}

static void next_metric(struct page *page)
{
    page->metric++;
    page->source = 0;
    page->item = 0;
    page->announced = false;
}

/* Renders the item where the walk stands, or as much of it as the piece takes, and moves on. */
static void step(struct page *page)
{
    const struct metric_row *row = metric_row(page->metric);
    const struct page_level *level = &page_levels[row->level];
    union measure measure = measures[page->metric];
    page->writer.unit = row->unit;
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
    level->render(page, measure, source, page->item);
    page->item += page->line == 0;
}

bool page_render(struct page *page, struct buf *out, size_t wanted)
{
    page->writer.out = out;
    page->wanted = wanted;
    while (page->metric < METRICS && out->length < wanted && buf_ok(out) && buf_ok(&page->writer.prefix))
        step(page);
    out->failed |= page->writer.prefix.failed;
    bool more = page->metric < METRICS && buf_ok(out);
    if (!more && page->format == PAGE_OPENMETRICS)
        buf_add_text(out, "# EOF\n");
    return more;
}

void page_free(struct page **page)
{
    if (*page == NULL)
        return;
    view_release(&(*page)->view);
    line_writer_free(&(*page)->writer);
    free(*page);
    *page = NULL;
}
