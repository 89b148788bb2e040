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

/* A page of what the view shows; it takes the view over. Free it with page_free(). */
struct page *page_new(struct view *view, const struct page_facts *facts, enum page_format format);

/* Appends whole lines to `out` until that holds at least `wanted` bytes or the page is complete. A piece may
 * be longer by a few lines. Returns false when there is nothing left to come. A failure
 * of the buffer is left to the caller to see. */
bool page_render(struct page *page, struct buf *out, size_t wanted);

/* Frees it and sets *page to NULL; NULL is accepted. */
void page_free(struct page **page);

#endif
