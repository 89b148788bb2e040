#ifndef TIDEMARK_JSON_RANGE_H
#define TIDEMARK_JSON_RANGE_H

#include "exporter/base/json_writer.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lists that come a stretch at a time: {"t":…, "offset":…, "limit":…, …, NAME:[…], "total":…}. */

#define JSON_ALL SIZE_MAX /* a limit that is none, and isn't shown */

/* The elements from `offset` on, at most `limit`. */
struct json_range {
    size_t offset, limit;
};

/* Walks over all elements, and lets those of the range be written. */
struct json_list {
    struct json_writer json;
    struct json_range range;
    size_t seen;
};

/* Opens the object. Its list is opened with json_list_open(), after members that stand before it. */
struct json_list json_list_begin(struct buf *out, int64_t now, struct json_range range);
void json_list_open(struct json_list *list, const char *name);

/* Whether the next element is to be written. */
bool json_list_takes_next(struct json_list *list);

/* Closes list and object. */
void json_list_end(struct json_list *list);

/* Whether the source is the one that is asked for; NULL asks for all. */
bool json_is_asked_for(const struct source_view *source, const char *cluster);

#endif
