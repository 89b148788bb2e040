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
    bool *groups, *topics;                /* by index in the snapshot; owned; NULL: all of them */
    int64_t *group_series, *topic_series; /* how many series each has; owned; NULL: they aren't counted */
};

struct selection {
    struct source_selection *sources; /* owned; as many as the view has */
    size_t count;
};

/* What the filter lets through; NULL: everything. Free it with selection_free(). */
struct selection selection_make(const struct view *view, const struct page_filter *filter);

/* Whether all groups and topics of the source are shown. */
static inline bool selection_is_all(const struct source_selection *selected)
{
    return selected->groups == NULL;
}

/* Whether what is about this topic, or group, is shown; NO_INDEX: it is about none. */
bool selection_shows(const struct source_selection *selected, int64_t topic, int64_t group);

/* Adds to the series that these have; does nothing where they aren't counted. */
void selection_count(struct source_selection *selected, int64_t topic, int64_t group, int64_t series);

/* From now on the series of each group and topic are counted. */
void selection_begin_count(struct selection *selection, const struct view *view);

/* Ends the count. If the `total` that was found is more than there is room for, leaves groups and topics out
 * until the rest fits: the gravest groups stay, then topics, and what belongs to neither in any case. Returns
 * how many series are left out. */
int64_t selection_limit(struct selection *selection, const struct view *view, int64_t total, int64_t room);

void selection_free(struct selection *selection);

#endif
