#ifndef TIDEMARK_GROUP_ROW_H
#define TIDEMARK_GROUP_ROW_H

#include "exporter/publish.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A group as one row of a table, whoever shows it: the numbers of all its topics taken together. */
struct group_row {
    const struct source_view *source;
    const struct snap_group *group;
    const struct group_findings *findings;
    struct subscription_findings total; /* see group_total() */
    struct chart_rates rates;           /* messages a second on all topics */
    bool rates_known;
    uint32_t index; /* of the group */
};

/* The row of a group of a source that is shown; valid as long as the view. */
struct group_row group_row(const struct source_view *source, uint32_t index);

/* Messages a second on one of its topics, by the subscription's index in the snapshot; nothing is read by a
 * group that has stopped. False when it isn't known yet. */
bool group_row_rates(const struct group_row *row, uint32_t subscription, struct chart_rates *rates);

/* All groups of all sources, the worst first: by the gravest condition, then by time lag, lag and name. The
 * caller frees the array; what it points to belongs to the view. */
struct group_row *group_rows(const struct view *view, size_t *count);

/* The row of the group that is shown (utf8.h) by this name, of the source that is called `cluster`, or of the
 * first that has one where that is NULL. False: there is none. */
bool group_row_find(const struct view *view, struct str name, const char *cluster, struct group_row *row);

/* The grade of its verdict. */
enum grade group_row_grade(const struct group_row *row);

#endif
