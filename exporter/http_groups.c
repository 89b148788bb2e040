#include "exporter/base/clock.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"
#include "exporter/json_groups.h"

enum MHD_Result answer_groups(const struct request *request)
{
    struct view *view = publish_view(request->http->publish);
    struct buf json = buf_make(ANSWER_LIMIT);
    json_add_groups(&json, view, clock_wall_ms());
    view_release(&view);
    return answer_buf(request, MHD_HTTP_OK, TYPE_JSON, &json);
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
