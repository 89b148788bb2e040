#ifndef TIDEMARK_JSON_LISTS_H
#define TIDEMARK_JSON_LISTS_H

#include "exporter/base/buf.h"
#include "exporter/json_range.h"
#include "exporter/publish.h"

#include <stdint.h>

/*
 * What is published, as JSON lists, a stretch at a time. `cluster` is the one that is asked for, NULL for
 * all. What is unknown is absent. Pure; any thread.
 */

/* The sources, in the order of the configuration, with what is known of each. */
void json_add_clusters(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                       struct json_range range);

/* The topics by cluster and name. */
void json_add_topics(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                     struct json_range range);

/* What happened to the groups, the latest first. */
void json_add_all_events(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                         struct json_range range);

#endif
