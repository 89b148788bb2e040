#include "exporter/base/clock.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"
#include "exporter/json_lists.h"

#include <stdlib.h>

/* The lists of /api/v1. */

enum { DEFAULT_LIMIT = 100, MOST = 1000, LONGEST_NUMBER = 9 };

/* A number of up to nine digits; false for anything else. One that isn't given leaves *number as it is. */
static bool take_number(const struct request *request, const char *name, size_t *number)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    if (text == NULL)
        return true;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > LONGEST_NUMBER || text[digits] != '\0')
        return false;
    *number = strtoul(text, NULL, 10);
    return true;
}

static enum MHD_Result answer_list(const struct request *request,
                                   void (*add)(struct buf *, const struct view *, int64_t, const char *,
                                               struct json_range))
{
    struct json_range range = {.offset = 0, .limit = DEFAULT_LIMIT};
    if (!take_number(request, "offset", &range.offset) || !take_number(request, "limit", &range.limit) ||
        range.limit > MOST)
        return answer_text(request, MHD_HTTP_BAD_REQUEST,
                           "offset and limit are numbers, and a limit is at most 1000\n");
    const char *cluster = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "cluster");
    struct view *view = publish_view(request->http->publish);
    struct buf json = buf_make(ANSWER_LIMIT);
    add(&json, view, clock_wall_ms(), cluster, range);
    view_release(&view);
    return answer_buf(request, MHD_HTTP_OK, TYPE_JSON, &json);
}

enum MHD_Result answer_clusters(const struct request *request)
{
    return answer_list(request, json_add_clusters);
}

enum MHD_Result answer_topics(const struct request *request)
{
    return answer_list(request, json_add_topics);
}

enum MHD_Result answer_events(const struct request *request)
{
    return answer_list(request, json_add_all_events);
}

enum MHD_Result answer_config(const struct request *request)
{
    const struct http_config *config = &request->http->config;
    struct buf json = buf_make(ANSWER_LIMIT);
    config->describe(config->context, &json);
    return answer_buf(request, MHD_HTTP_OK, TYPE_JSON, &json);
}
