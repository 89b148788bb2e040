#ifndef TIDEMARK_ENCODE_PAGE_H
#define TIDEMARK_ENCODE_PAGE_H

#include "exporter/encode.h"
#include "exporter/encode_line.h"
#include "exporter/encode_select.h"
#include "exporter/metrics.h"

/* What the files that render the page share: none but them includes this. */

/* Where the walk stands. */
struct cursor {
    enum metric metric;
    size_t source, item;
    uint32_t line;  /* of the item: where the next piece takes up a run of lines; 0: the item is complete */
    bool announced; /* HELP and TYPE of the metric are written */
};

/* What the prefix of the writer begins with. */
struct begun {
    enum metric metric;
    size_t source;
    size_t source_length; /* of the prefix, up to the end of the source's label; 0: it has none */
    int64_t group;        /* index; NO_INDEX: the prefix has none */
    size_t group_length;  /* up to the end of the group's label */
};

/*
 * The page is a walk: metric by metric (so that families stay whole over several sources), source by source,
 * item by item. An item is what a level's render function takes at a time: mostly one subject, and for
 * partitions and positions all of a topic or subscription, whose labels are written once.
 */
struct page {
    struct view *view; /* owned */
    struct page_facts facts;
    enum page_format format;
    struct cursor at;
    struct begun begun;
    size_t wanted; /* length at which the piece is full */
    bool full;     /* it is so before: what came next had no room in it, and was taken back */
    size_t bytes;  /* in the pieces before this one */
    size_t start;  /* length of `out` when this piece was begun */
    int64_t dropped;
    struct selection selection;
    struct line_writer writer;
};

/* Writes what stands above the samples of the metric. */
void page_announce(struct page *page);

/* Whether the rest is left to the next piece. A run of lines that ends so is taken up at page->at.line. */
bool page_piece_is_full(const struct page *page);

/* What has been written of it, up to here. */
struct page_so_far page_so_far(const struct page *page);

/* The measuring functions by metric, typed by level. */
union measure {
#define LEVEL(id, labels, meaning) id##_measure *id;
    LEVEL_TABLE(LEVEL)
#undef LEVEL
};

/* How many items a source has for a level; what is known only from a poll has none before the first. */
typedef size_t count_items(const struct source_view *source);

/* Writes an item's lines. `source` is NULL for the levels of the process. */
typedef void render_item(struct page *page, union measure measure, const struct source_view *source,
                         size_t item);

/* What of the snapshot, or of the findings, the number of an item counts. */
enum page_scope { SCOPE_NONE, SCOPE_TOPIC, SCOPE_GROUP, SCOPE_SUBSCRIPTION, SCOPE_WHERE };

struct page_level {
    count_items *items; /* NULL: the process, once and without a source */
    render_item *render;
    enum page_scope scope;
    enum granularity coarsest;        /* at which it is still shown */
    const struct page_level *coarser; /* what is shown instead; NULL: nothing */
};

extern const struct page_level page_levels[METRIC_LEVELS];

#endif
