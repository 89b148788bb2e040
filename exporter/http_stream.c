#include "exporter/http_stream.h"

#include "exporter/base/mem.h"
#include "exporter/gzip.h"
#include "exporter/http_answer.h"
#include "exporter/http_connections.h"
#include "exporter/http_exposition.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Bytes that are rendered and sent at a time: the more, the more seldom the reader falls asleep and is
     * woken, as long as they fit into a processor's cache. */
    PIECE = 240 * 1024,
    CHUNK = 16 * 1024,
    PIECE_LIMIT = 64 * 1024 * 1024,
};

/* --- the rendering ------------------------------------------------------------------------------------- */

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
        stream->more = page_render(stream->page, target, PIECE);
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
    bool more = page_render(stream->page, &direct, room - room / 16);
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

/* Takes the page over, and the gzip, if there is one. */
static struct stream *new_stream(struct page *page, struct gzip *gzip)
{
    struct stream *stream = MEM_NEW(struct stream);
    stream->page = page;
    stream->gzip = gzip;
    stream->rendered = buf_make(PIECE_LIMIT);
    stream->piece = buf_make(PIECE_LIMIT);
    stream->more = true;
    return stream;
}

/* --- the length ---------------------------------------------------------------------------------------- */

/* The length of a whole page, which shows the view of that number. What was found for one page spares finding
 * most of it for the next. */
static size_t find_length(struct http *http, struct page *page, enum page_format format, uint64_t number)
{
    struct known_extent *known = &http->extents[format];
    struct page_extent of_view = {0};
    pthread_mutex_lock(&http->extents_lock);
    if (known->number == number)
        of_view = known->extent;
    pthread_mutex_unlock(&http->extents_lock);
    size_t length = page_length(page, &of_view);
    pthread_mutex_lock(&http->extents_lock);
    if (known->number < number)
        *known = (struct known_extent){number, of_view, known->asked};
    pthread_mutex_unlock(&http->extents_lock);
    return length;
}

/* Whether somebody has asked for the page; and whether that is so from now on. */
static bool exchange_asked(struct http *http, enum page_format format, bool asked)
{
    pthread_mutex_lock(&http->extents_lock);
    bool before = http->extents[format].asked;
    http->extents[format].asked = asked;
    pthread_mutex_unlock(&http->extents_lock);
    return before;
}

void stream_prepare(struct http *http)
{
    for (int format = 0; format < PAGE_FORMATS; format++) {
        if (!exchange_asked(http, (enum page_format)format, false))
            continue;
        uint64_t number;
        struct page *page = exposition_page(http, (enum page_format)format, NULL, &number);
        (void)find_length(http, page, (enum page_format)format, number); /* to be known, not used */
        page_free(&page);
    }
}

/* --- the answer ---------------------------------------------------------------------------------------- */

/* Takes both over. What is sent in chunks is copied to the connection's own memory, which holds no more. */
static struct MHD_Response *make_response(struct page *page, uint64_t length, struct gzip *gzip)
{
    struct stream *stream = new_stream(page, gzip);
    size_t piece = length == MHD_SIZE_UNKNOWN ? CHUNK : length < PIECE ? length : PIECE;
    struct MHD_Response *response =
        MHD_create_response_from_callback(length, piece, read_stream, stream, free_stream);
    if (response == NULL)
        free_stream(stream);
    return response;
}

/* libmicrohttpd sends the end of a chunked body after the header that answers HEAD, too, where a client takes
 * it for the next answer (RFC 9112, 6.3): that answer isn't chunked, and ends the connection. */
static bool set_framing(const struct request *request, struct MHD_Response *response)
{
    return strcmp(request->method, MHD_HTTP_METHOD_HEAD) != 0 ||
           MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES;
}

/* Takes the page and the gzip over. */
static enum MHD_Result answer_page(const struct request *request, enum page_format format, struct page *page,
                                   uint64_t length, struct gzip *gzip)
{
    bool compressed = gzip != NULL;
    struct MHD_Response *response = make_response(page, length, gzip);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if ((length != MHD_SIZE_UNKNOWN || set_framing(request, response)) &&
        exposition_add_headers(request->http, response, format, compressed))
        result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result stream_answer_filtered(const struct request *request, enum page_format format,
                                       const struct page_filter *filter, bool compressed)
{
    uint64_t number;
    struct page *page = exposition_page(request->http, format, filter, &number);
    connections_begin_stream(request->http->connections, request->connection);
    return answer_page(request, format, page, MHD_SIZE_UNKNOWN, compressed ? gzip_new() : NULL);
}

enum MHD_Result stream_answer(const struct request *request, enum page_format format)
{
    struct http *http = request->http;
    uint64_t number;
    struct page *page = exposition_page(http, format, NULL, &number);
    exposition_note_dropped(http, page_dropped(page));
    (void)exchange_asked(http, format, true);
    size_t length = find_length(http, page, format, number);
    connections_begin_stream(http->connections, request->connection);
    if (length > 0)
        return answer_page(request, format, page, length, NULL);
    page_free(&page);
    return answer_text(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "the page is too large\n");
}
