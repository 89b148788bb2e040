#ifndef TIDEMARK_HTML_H
#define TIDEMARK_HTML_H

#include "exporter/base/buf.h"
#include "exporter/publish.h"

#include <stdint.h>

/* Appends the page for people: sources, and a table of groups, worst first, as HTML that needs no script.
 * `now` is in milliseconds since 1970. Pure; a failure of the buffer is left to the caller to see. */
void html_render(const struct view *view, int64_t now, struct buf *out);

#endif
