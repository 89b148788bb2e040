#ifndef TIDEMARK_HTTP_METRICS_H
#define TIDEMARK_HTTP_METRICS_H

#include "exporter/encode.h"
#include "exporter/http_server.h"

/* Gives a page of metrics its headers; false when there is no memory for them. */
bool metrics_add_headers(const struct http *http, struct MHD_Response *response, enum page_format format,
                         bool compressed);

/* Says in the log when the policy's limit begins to leave series off the whole page, and when it ceases to.
 */
void metrics_note_dropped(struct http *http, int64_t dropped);

#endif
