#ifndef TIDEMARK_HTML_H
#define TIDEMARK_HTML_H

#include "exporter/base/buf.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The screen: pages for people, as HTML that says everything without a script; web/screen.js only keeps them
 * fresh. `now` is in milliseconds since 1970. Pure; any thread; a failure of the buffer is left to the caller
 * to see.
 */

/* Sources, and a table of groups, worst first. Of groups only those whose name, cluster or verdict contains
 * `filter`, where that is not empty. */
void html_add_groups(struct buf *out, const struct view *view, int64_t now, struct str filter);

/* All about one group: why it is judged so and what to do, its topics with their past, its members, what
 * happened, and where its messages can be lost. The name and the cluster are as for group_row_find(). False,
 * with nothing added, when there is none. */
bool html_add_group(struct buf *out, const struct view *view, int64_t now, struct str name,
                    const char *cluster);

/* The loss ledger: for each group and topic the places where a message can be lost, and the safeguard at
 * each. */
void html_add_ledger(struct buf *out, const struct view *view, int64_t now);

#endif
