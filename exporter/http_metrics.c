#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/encode.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"

#include <stdlib.h>
#include <string.h>

/* /metrics: a page that is rendered while it is sent. */

enum { PIECE = HTTP_PIECE, PAGE_LIMIT = 64 * 1024 * 1024 };

struct stream {
    struct page *page;
    struct buf piece;
    size_t sent; /* bytes of the piece */
    bool more;
};

static ssize_t read_stream(void *context, uint64_t position, char *target, size_t room)
{
    (void)position; /* the library asks in order */
    struct stream *stream = context;
    if (stream->sent == stream->piece.length) {
        if (!stream->more)
            return MHD_CONTENT_READER_END_OF_STREAM;
        buf_reset(&stream->piece);
        stream->sent = 0;
        stream->more = page_render(stream->page, &stream->piece, PIECE);
        /* Cut off rather than end well: a scraper must not take half a page for a whole one. */
        if (!buf_ok(&stream->piece))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = stream->piece.length - stream->sent, count = left < room ? left : room;
    if (count == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(target, stream->piece.bytes + stream->sent, count);
    stream->sent += count;
    return (ssize_t)count;
}

static void free_stream(void *context)
{
    struct stream *stream = context;
    page_free(&stream->page);
    buf_free(&stream->piece);
    free(stream);
}

enum MHD_Result answer_metrics(const struct request *request)
{
    struct page_facts facts = page_facts_now(request->http->config.program);
    struct stream *stream = MEM_NEW(struct stream);
    stream->page = page_new(publish_view(request->http->publish), &facts);
    stream->piece = buf_make(PAGE_LIMIT);
    stream->more = true;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_stream, stream, free_stream);
    if (response == NULL)
        free_stream(stream);
    return answer_response(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", response);
}
