#include "exporter/http_answer.h"

#include "exporter/http_connections.h"
#include "exporter/http_web.h"

#include <string.h>

/* What every answer has: nobody may guess another type, show it in a frame, or keep it. */
static const struct header {
    const char *name, *value;
} common_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
};

/* Nothing from elsewhere, no script that is not the page's own. */
static const struct header html_headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
     "img-src 'self' data:; base-uri 'none'; form-action 'self'; "
     "frame-ancestors 'none'"},
};

static bool add_headers(struct MHD_Response *response, const struct header *headers, size_t count)
{
    bool added = true;
    for (size_t i = 0; i < count && added; i++)
        added = MHD_add_response_header(response, headers[i].name, headers[i].value) == MHD_YES;
    return added;
}

bool answer_add_headers(const struct http *http, struct MHD_Response *response, const char *type)
{
    bool added = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
                 add_headers(response, common_headers, sizeof common_headers / sizeof *common_headers);
    if (strcmp(type, TYPE_HTML) == 0)
        added = added && add_headers(response, html_headers, sizeof html_headers / sizeof *html_headers);
    return added && web_add_headers(http->web, response);
}

enum MHD_Result answer_response(const struct request *request, unsigned status, const char *type,
                                struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = answer_add_headers(request->http, response, type)
                                 ? MHD_queue_response(request->connection, status, response)
                                 : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *text_response(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result answer_text(const struct request *request, unsigned status, const char *text)
{
    return answer_response(request, status, TYPE_TEXT, text_response(text));
}

enum MHD_Result answer_static(const struct request *request, const char *type, const char *text)
{
    return answer_response(request, MHD_HTTP_OK, type, text_response(text));
}

enum MHD_Result answer_text_allowing(const struct request *request, const char *text, const char *methods)
{
    struct MHD_Response *response = text_response(text);
    if (response != NULL && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, methods) != MHD_YES) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return answer_response(request, MHD_HTTP_METHOD_NOT_ALLOWED, TYPE_TEXT, response);
}

enum MHD_Result answer_unauthorized(const struct request *request)
{
    struct MHD_Response *response = text_response("a name and a password are wanted\n");
    if (response != NULL &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Basic realm=\"tidemark\", charset=\"UTF-8\"") != MHD_YES) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return answer_response(request, MHD_HTTP_UNAUTHORIZED, TYPE_TEXT, response);
}

enum MHD_Result answer_buf(const struct request *request, unsigned status, const char *type, struct buf *buf)
{
    if (!buf_ok(buf)) {
        buf_free(buf);
        return answer_text(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is too large\n");
    }
    connections_begin_stream(request->http->connections, request->connection);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(buf->length, buf->bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        buf_free(buf);
    return answer_response(request, status, type, response);
}
