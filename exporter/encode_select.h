#ifndef TIDEMARK_ENCODE_SELECT_H
#define TIDEMARK_ENCODE_SELECT_H

#include "exporter/encode.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which sources, groups and topics have series on a page. */

struct source_selection {
    bool shown;
    bool *groups, *topics;                /* by index in the snapshot; owned; empty without a snapshot */
    int64_t *group_series, *topic_series; /* how many series each has: filled by who counts them; owned */
};

struct selection {
    struct source_selection *sources; /* owned; as many as the view has */
    size_t count;
};

/* What the filter lets through; NULL: everything. Free it with selection_free(). */
struct selection selection_make(const struct view *view, const struct page_filter *filter);

/* Leaves groups and topics out until what is left has no more than `room` series: the gravest groups stay,
 * then topics. Returns how many series are left out. */
int64_t selection_limit(struct selection *selection, const struct view *view, int64_t room);

void selection_free(struct selection *selection);

#endif
