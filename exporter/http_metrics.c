#include "exporter/http_metrics.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/http_accept.h"
#include "exporter/http_answer.h"
#include "exporter/http_connections.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* /metrics: a plain page is rendered while it is sent, a compressed one was made before (http_packed.h). */

enum { PIECE = HTTP_PIECE, PIECE_LIMIT = 64 * 1024 * 1024, HEADER_LIMIT = 64 * 1024 };

/* --- a page that is rendered while it is sent ---------------------------------------------------------- */

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

static enum MHD_Result answer_stream(const struct request *request, enum page_format format)
{
    connections_begin_stream(request->http->connections, request->connection);
    struct page_facts facts = page_facts_now(request->http->config.program);
    struct stream *stream = MEM_NEW(struct stream);
    stream->page = page_new(publish_view(request->http->publish), &facts, format);
    stream->piece = buf_make(PIECE_LIMIT);
    stream->more = true;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_stream, stream, free_stream);
    if (response == NULL)
        free_stream(stream);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if (metrics_add_headers(response, format, false))
        result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* --- which page ---------------------------------------------------------------------------------------- */

bool metrics_add_headers(struct MHD_Response *response, enum page_format format, bool compressed)
{
    static const char *const types[PAGE_FORMATS] = {
        [PAGE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [PAGE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    return answer_add_headers(response, types[format]) &&
           MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") == MHD_YES &&
           (!compressed ||
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") == MHD_YES);
}

struct header_values {
    const char *name;
    struct buf joined;
};

static enum MHD_Result join_value(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct header_values *values = context;
    if (strcasecmp(name, values->name) == 0 && value != NULL) {
        buf_add_text(&values->joined, values->joined.length > 0 ? "," : "");
        buf_add_text(&values->joined, value);
    }
    return MHD_YES;
}

/* All the values of a header, which may be sent in several lines, as one list; free() it. */
static char *header_list(const struct request *request, const char *name)
{
    struct header_values values = {name, buf_make(HEADER_LIMIT)};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, join_value, &values);
    buf_add_char(&values.joined, '\0');
    char *list = mem_copy_text(buf_ok(&values.joined) ? values.joined.bytes : "");
    buf_free(&values.joined);
    return list;
}

enum MHD_Result answer_metrics(const struct request *request)
{
    char *accept = header_list(request, MHD_HTTP_HEADER_ACCEPT);
    char *encoding = header_list(request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    enum page_format format = accept_format(accept);
    bool gzip = accept_gzip(encoding);
    free(accept);
    free(encoding);
    enum MHD_Result result;
    if (gzip && packed_answer(request->http->packed, request, format, &result))
        return result;
    return answer_stream(request, format);
}
