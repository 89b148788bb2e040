#include "exporter/http_metrics.h"

#include "exporter/base/buf.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/gzip.h"
#include "exporter/http_accept.h"
#include "exporter/http_answer.h"
#include "exporter/http_connections.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* /metrics: a plain page, or one that tells of some only, is rendered while it is sent; the whole page
 * compressed was made before (http_packed.h). */

enum { BLOCK = 16 * 1024, PIECE_LIMIT = 64 * 1024 * 1024, HEADER_LIMIT = 64 * 1024 };

/* --- a page that is rendered while it is sent ---------------------------------------------------------- */

struct stream {
    struct page *page;
    struct gzip *gzip;   /* NULL: it is sent plain */
    struct buf rendered; /* what is to be compressed next */
    struct buf piece;
    size_t sent; /* bytes of the piece */
    bool more;
};

static void next_piece(struct stream *stream)
{
    stream->sent = 0;
    buf_reset(&stream->piece);
    struct buf *target = stream->gzip != NULL ? &stream->rendered : &stream->piece;
    do {
        buf_reset(target);
        stream->more = page_render(stream->page, target, HTTP_PIECE);
        if (stream->gzip != NULL)
            gzip_add(stream->gzip, buf_str(target), &stream->piece);
        stream->piece.failed |= target->failed;
    } while (stream->more && stream->piece.length == 0 && buf_ok(&stream->piece));
    if (stream->gzip != NULL && !stream->more)
        gzip_end(stream->gzip, &stream->piece);
}

/* Renders to where the library sends from, which spares a copy. Nothing where not even a few lines fit. */
static size_t render_directly(struct stream *stream, char *target, size_t room)
{
    struct buf direct = {
        .bytes = target, .capacity = room, .limit = room}; /* full, it fails: it can't grow */
    bool more = page_render(stream->page, &direct, room - room / 8);
    if (!buf_ok(&direct))
        return 0;
    stream->more = more;
    return direct.length;
}

static ssize_t read_stream(void *context, uint64_t position, char *target, size_t room)
{
    (void)position; /* the library asks in order */
    struct stream *stream = context;
    if (stream->sent == stream->piece.length) {
        if (!stream->more)
            return MHD_CONTENT_READER_END_OF_STREAM;
        size_t rendered = stream->gzip == NULL ? render_directly(stream, target, room) : 0;
        if (rendered > 0)
            return (ssize_t)rendered;
        next_piece(stream);
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
    gzip_free(&stream->gzip);
    buf_free(&stream->rendered);
    buf_free(&stream->piece);
    free(stream);
}

static struct stream *new_stream(const struct http *http, enum page_format format,
                                 const struct page_filter *filter, bool compressed)
{
    struct page_facts facts = page_facts_now(http->config.program);
    struct stream *stream = MEM_NEW(struct stream);
    stream->page = page_new(publish_view(http->publish), &facts, format, filter);
    stream->rendered = buf_make(PIECE_LIMIT);
    stream->piece = buf_make(PIECE_LIMIT);
    stream->more = true;
    stream->gzip = compressed ? gzip_new() : NULL;
    return stream;
}

/* libmicrohttpd sends the end of a chunked body after the header that answers HEAD, too, where a client takes
 * it for the next answer (RFC 9112, 6.3): that answer isn't chunked, and ends the connection. */
static bool set_framing(const struct request *request, struct MHD_Response *response)
{
    return strcmp(request->method, MHD_HTTP_METHOD_HEAD) != 0 ||
           MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES;
}

static enum MHD_Result answer_stream(const struct request *request, enum page_format format,
                                     const struct page_filter *filter, bool compressed)
{
    connections_begin_stream(request->http->connections, request->connection);
    struct stream *stream = new_stream(request->http, format, filter, compressed);
    if (filter == NULL)
        metrics_note_dropped(request->http, page_dropped(stream->page));
    compressed = stream->gzip != NULL;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, stream, free_stream);
    if (response == NULL) {
        free_stream(stream);
        return MHD_NO;
    }
    enum MHD_Result result = MHD_NO;
    if (set_framing(request, response) && metrics_add_headers(request->http, response, format, compressed))
        result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* --- whom a page tells of ------------------------------------------------------------------------------ */

/* The names in ?cluster= and ?group=, as often as they stand there. */
struct query {
    struct str *clusters, *groups; /* owned; the names are the request's */
    size_t cluster_count, cluster_capacity, group_count, group_capacity;
};

static void add_name(struct str **names, size_t *count, size_t *capacity, struct str name)
{
    *names = mem_grow(*names, capacity, *count + 1, sizeof **names);
    (*names)[(*count)++] = name;
}

static enum MHD_Result add_argument(void *context, enum MHD_ValueKind kind, const char *key,
                                    size_t key_length, const char *value, size_t length)
{
    (void)kind;
    struct query *query = context;
    struct str name = {key, key_length}, text = {value != NULL ? value : "", value != NULL ? length : 0};
    if (str_equal(name, STR_LITERAL("cluster")))
        add_name(&query->clusters, &query->cluster_count, &query->cluster_capacity, text);
    else if (str_equal(name, STR_LITERAL("group")))
        add_name(&query->groups, &query->group_count, &query->group_capacity, text);
    return MHD_YES;
}

static enum MHD_Result answer_query(const struct request *request, enum page_format format, bool compressed)
{
    struct query query = {0};
    MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, add_argument, &query);
    struct page_filter filter = {query.clusters, query.groups, query.cluster_count, query.group_count};
    bool filtered = filter.cluster_count + filter.group_count > 0;
    enum MHD_Result result;
    if (filtered || !compressed || !packed_answer(request->http->packed, request, format, &result))
        result = answer_stream(request, format, filtered ? &filter : NULL, filtered && compressed);
    free(query.clusters);
    free(query.groups);
    return result;
}

/* --- the limit of series ------------------------------------------------------------------------------- */

void metrics_note_dropped(struct http *http, int64_t dropped)
{
    if (atomic_exchange(&http->dropping, dropped > 0) == (dropped > 0))
        return;
    if (dropped > 0)
        log_event(LOG_LEVEL_WARN,
                  "max_series leaves series off the page, those of the least grave groups first",
                  LOG_FIELDS(log_int("dropped", dropped)));
    else
        log_event(LOG_LEVEL_INFO, "no series is left off the page any more", LOG_NO_FIELDS);
}

/* --- which page ---------------------------------------------------------------------------------------- */

bool metrics_add_headers(const struct http *http, struct MHD_Response *response, enum page_format format,
                         bool compressed)
{
    static const char *const types[PAGE_FORMATS] = {
        [PAGE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [PAGE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    return answer_add_headers(http, response, types[format]) &&
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
    return answer_query(request, format, gzip);
}
