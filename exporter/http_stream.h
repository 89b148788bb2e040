#ifndef TIDEMARK_HTTP_STREAM_H
#define TIDEMARK_HTTP_STREAM_H

#include "exporter/encode.h"
#include "exporter/http_server.h"

/*
 * A page of metrics that is rendered while it is sent. A whole plain one's length is told before: so what is
 * under way lies in memory that is freed with the answer, not in that which each connection keeps, and pieces
 * may be large. Others are sent in chunks. Of either a scraper that gets less than all of it knows.
 */

/* Answers with all that is published now, plain. */
enum MHD_Result stream_answer(const struct request *request, enum page_format format);

/* Answers with what the filter lets through of it; the filter is borrowed for the call. */
enum MHD_Result stream_answer_filtered(const struct request *request, enum page_format format,
                                       const struct page_filter *filter, bool compressed);

/* Finds the lengths of pages that somebody has asked for since it was last called: to be called when
 * something new is published, so that the next who asks needn't wait for it. Any thread. */
void stream_prepare(struct http *http);

#endif
