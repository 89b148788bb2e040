#ifndef TIDEMARK_HTTP_METRICS_H
#define TIDEMARK_HTTP_METRICS_H

#include "exporter/encode.h"
#include "exporter/http_server.h"

/* A page of what is published now, and the number of the view that it shows. `filter` may be NULL. Free it
 * with page_free(). Any thread. */
struct page *metrics_page(const struct http *http, enum page_format format, const struct page_filter *filter,
                          uint64_t *number);

/* Gives a page of metrics its headers; false when there is no memory for them. */
bool metrics_add_headers(const struct http *http, struct MHD_Response *response, enum page_format format,
                         bool compressed);

/* Says in the log when the policy's limit begins to leave series off the whole page, and when it ceases to.
 */
void metrics_note_dropped(struct http *http, int64_t dropped);

#endif
