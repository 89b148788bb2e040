#ifndef TIDEMARK_HTTP_EXPOSITION_H
#define TIDEMARK_HTTP_EXPOSITION_H

#include "exporter/encode.h"
#include "exporter/http_server.h"

/* What all pages of metrics have in common, rendered while they are sent (http_stream.h) or compressed before
 * (http_packed.h). */

/* A page of what is published now, and the number of the view that it shows. `filter` may be NULL. Free it
 * with page_free(). Any thread. */
struct page *exposition_page(const struct http *http, enum page_format format,
                             const struct page_filter *filter, uint64_t *number);

/* Gives a page of metrics its headers; false when there is no memory for them. */
bool exposition_add_headers(const struct http *http, struct MHD_Response *response, enum page_format format,
                            bool compressed);

/* Says in the log when the policy's limit begins to leave series off the whole page, and when it ceases to.
 */
void exposition_note_dropped(struct http *http, int64_t dropped);

#endif
