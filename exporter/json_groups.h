#ifndef TIDEMARK_JSON_GROUPS_H
#define TIDEMARK_JSON_GROUPS_H

#include "exporter/base/buf.h"
#include "exporter/json_range.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The judgement as JSON, for programs, `tidemark status` and `tidemark explain`. Times are Unix seconds and
 * durations seconds, both with a fraction; what is unknown is absent. Names are as they are shown everywhere
 * (utf8.h). Pure; any thread.
 */

/* All sources, and the groups of the range, the worst first; of `cluster` only, unless it is NULL. */
void json_add_groups(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                     struct json_range range);

/* All about one group: its topics with their past, each partition, what happened, and of each condition the
 * rule, the numbers that it went by and what to do. `name` is the group's as it is shown. `cluster` is the
 * name of its source, or NULL for the first that has such a group. False, with nothing added, when there is
 * none. */
bool json_add_group(struct buf *out, const struct view *view, int64_t now, struct str name,
                    const char *cluster);

#endif
