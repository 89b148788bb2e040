#include "exporter/base/clock.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"
#include "exporter/json_groups.h"
#include "exporter/json_lists.h"

#include <stdlib.h>

/* The answers of /api/v1. */

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

typedef void add_list(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                      struct json_range range);

static enum MHD_Result answer_list(const struct request *request, add_list *add, size_t default_limit)
{
    struct json_range range = {.offset = 0, .limit = default_limit};
    if (!take_number(request, "offset", &range.offset) || !take_number(request, "limit", &range.limit) ||
        (range.limit > MOST && range.limit != JSON_ALL))
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
    return answer_list(request, json_add_clusters, DEFAULT_LIMIT);
}

enum MHD_Result answer_topics(const struct request *request)
{
    return answer_list(request, json_add_topics, DEFAULT_LIMIT);
}

enum MHD_Result answer_events(const struct request *request)
{
    return answer_list(request, json_add_all_events, DEFAULT_LIMIT);
}

/* All of them unless a limit is given: who wants to know how it is all in all has to see them at one moment.
 */
enum MHD_Result answer_groups(const struct request *request)
{
    return answer_list(request, json_add_groups, JSON_ALL);
}

enum MHD_Result answer_group(const struct request *request)
{
    const char *cluster = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "cluster");
    struct view *view = publish_view(request->http->publish);
    struct buf json = buf_make(ANSWER_LIMIT);
    bool found = json_add_group(&json, view, clock_wall_ms(), str_of(request->rest), cluster);
    view_release(&view);
    if (!found)
        buf_add_text(&json, "{\"error\":\"there is no such group: /api/v1/groups lists them\"}\n");
    return answer_buf(request, found ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, TYPE_JSON, &json);
}

enum MHD_Result answer_config(const struct request *request)
{
    const struct http_config *config = &request->http->config;
    struct buf json = buf_make(ANSWER_LIMIT);
    config->describe(config->context, &json);
    return answer_buf(request, MHD_HTTP_OK, TYPE_JSON, &json);
}
