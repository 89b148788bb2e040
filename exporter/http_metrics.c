#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/http_accept.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"
#include "exporter/http_stream.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* /metrics: a plain page, or one that tells of some only, is rendered while it is sent (http_stream.h); the
 * whole page compressed was made before (http_packed.h). */

enum { HEADER_LIMIT = 64 * 1024 };

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
    enum MHD_Result result;
    if (filter.cluster_count + filter.group_count > 0)
        result = stream_answer_filtered(request, format, &filter, compressed);
    else if (!compressed || !packed_answer(request->http->packed, request, format, &result))
        result = stream_answer(request, format);
    free(query.clusters);
    free(query.groups);
    return result;
}

/* --- which page ---------------------------------------------------------------------------------------- */

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
