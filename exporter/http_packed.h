#ifndef TIDEMARK_HTTP_PACKED_H
#define TIDEMARK_HTTP_PACKED_H

#include "exporter/base/error.h"
#include "exporter/encode.h"
#include "exporter/http_server.h"

/*
 * Compressed pages. One is made in a thread of its own, once for what is published and each format, not once
 * a scrape: as soon as something new is published if somebody has asked for the last one, else when somebody
 * asks, who then waits for it without holding up others. All who ask share it; it is freed when the last has
 * it. Its series are those of the unfiltered page. What plain pages need is prepared by the same thread
 * (http_stream.h).
 */
struct packed;

/* Starts the thread; `http` has its configuration and `publish` and outlives it. NULL: there can be none. */
struct packed *packed_start(struct http *http, struct error *error);

/* Lets all who wait go, and ends the thread: from now on there are no compressed pages. To be called before
 * the server is stopped, which must not have anybody waiting. */
void packed_stop(struct packed *packed);

/* Frees it, stopped, and sets *packed to NULL; NULL is accepted. To be called after the server is stopped. */
void packed_free(struct packed **packed);

/* Answers with the compressed page, now or when it is made. False, without an answer, when none could be
 * made. */
bool packed_answer(struct packed *packed, const struct request *request, enum page_format format,
                   enum MHD_Result *result);

#endif
