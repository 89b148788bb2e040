#ifndef TIDEMARK_ENCODE_H
#define TIDEMARK_ENCODE_H

#include "exporter/base/buf.h"
#include "exporter/measure.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A page of metrics, rendered piece by piece while it is sent, so that no page lies in memory. One thread a
 * page.
 */
struct page;

enum page_format {
    PAGE_TEXT,        /* https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4) */
    PAGE_OPENMETRICS, /* https://prometheus.io/docs/specs/om/open_metrics_spec/ (1.0) */
    PAGE_FORMATS,
};

/* Of whom a page tells: names as they are shown, in which each * stands for any bytes. Borrowed for the call.
 * Without clusters, or groups, it tells of all. With groups, only of the topics that these read. */
struct page_filter {
    const struct str *clusters, *groups;
    size_t cluster_count, group_count;
};

/* A page of what the view shows, as far as its policy allows; it takes the view over. `filter` may be NULL.
 * Free it with page_free(). */
struct page *page_new(struct view *view, const struct page_facts *facts, enum page_format format,
                      const struct page_filter *filter);

/* How much of a page comes of its view alone; the rest, a few lines, is of the process. */
struct page_extent {
    size_t bytes;
    int64_t series;
};

/* The length of the page, before any of it is rendered. To find it takes as long as rendering it; but for the
 * rest if `of_view` is that of a page of the same view and format, both without a filter. Else it has to be
 * all 0, and is set. 0: there is no memory to find it. */
size_t page_length(struct page *page, struct page_extent *of_view);

/* How many series the policy's limit has left out. */
int64_t page_dropped(const struct page *page);

/* Appends whole lines to `out` until that holds at least `wanted` bytes or the page is complete. A piece may
 * be longer by a few lines. Where the buffer's limit is reached before, the rest is left to the next piece;
 * only if not even a few lines fit it fails, and may be tried again with a larger one. Returns false when
 * there is nothing left to come. A failure of the buffer is left to the caller to see. */
bool page_render(struct page *page, struct buf *out, size_t wanted);

/* Frees it and sets *page to NULL; NULL is accepted. */
void page_free(struct page **page);

#endif
