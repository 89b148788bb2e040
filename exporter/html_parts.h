#ifndef TIDEMARK_HTML_PARTS_H
#define TIDEMARK_HTML_PARTS_H

#include "exporter/base/buf.h"
#include "exporter/group_row.h"

#include <stdint.h>

/* What the pages of html.h are made of. */

/* Appends a name as it is shown everywhere, escaped for text and for attributes in quotes. */
void html_add_text(struct buf *out, struct str text);

/* The same in an element of its own ("b", say), so that its direction of writing is none of what is around
 * it. */
void html_add_name(struct buf *out, const char *element, struct str name);

/* A link to the group's page, with its name. */
void html_add_group_link(struct buf *out, const struct group_row *row);

/* The page down to where its own content begins; `title` is escaped here. A page asks for itself again as
 * often as the quickest source is polled. */
void html_begin(struct buf *out, const struct view *view, struct str title);
void html_end(struct buf *out);

/* The sources, and how each is doing. */
void html_add_sources(struct buf *out, const struct view *view, int64_t now);

/* A cell of a table, for a phone with its column's name; empty when unknown. */
void html_add_cell(struct buf *out, const char *label, int64_t value, void (*add)(struct buf *, int64_t));

/* The group's conditions, a sentence each; with `all`, their rules, inputs and advice, and all places. */
void html_add_conditions(struct buf *out, const struct group_row *row, bool all);

/* A topic's ledger: a row of a table that html_begin_ledger() begins. `row` is the group's. */
void html_begin_ledger(struct buf *out, bool with_group);
void html_add_ledger_row(struct buf *out, const struct group_row *row, uint32_t subscription,
                         bool with_group);
void html_end_ledger(struct buf *out);

/* The lag of a chart as a small curve, and in full with axes; nothing where there are fewer than two samples.
 */
void html_add_sparkline(struct buf *out, const struct chart *chart);
void html_add_chart(struct buf *out, const struct chart *chart);

#endif
