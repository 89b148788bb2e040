#include "exporter/base/clock.h"
#include "exporter/html.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"
#include "exporter/web/assets.h"

static const char *argument(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

enum MHD_Result answer_screen(const struct request *request)
{
    const char *filter = argument(request, "q");
    struct view *view = publish_view(request->http->publish);
    struct buf html = buf_make(ANSWER_LIMIT);
    html_add_groups(&html, view, clock_wall_ms(), str_of(filter != NULL ? filter : ""));
    view_release(&view);
    return answer_buf(request, MHD_HTTP_OK, TYPE_HTML, &html);
}

enum MHD_Result answer_group_screen(const struct request *request)
{
    struct view *view = publish_view(request->http->publish);
    struct buf html = buf_make(ANSWER_LIMIT);
    bool found =
        html_add_group(&html, view, clock_wall_ms(), str_of(request->rest), argument(request, "cluster"));
    view_release(&view);
    if (found)
        return answer_buf(request, MHD_HTTP_OK, TYPE_HTML, &html);
    buf_free(&html);
    return answer_text(request, MHD_HTTP_NOT_FOUND, "there is no such group now: / lists them\n");
}

enum MHD_Result answer_ledger(const struct request *request)
{
    struct view *view = publish_view(request->http->publish);
    struct buf html = buf_make(ANSWER_LIMIT);
    html_add_ledger(&html, view, clock_wall_ms());
    view_release(&view);
    return answer_buf(request, MHD_HTTP_OK, TYPE_HTML, &html);
}

enum MHD_Result answer_css(const struct request *request)
{
    return answer_static(request, TYPE_CSS, web_screen_css);
}

enum MHD_Result answer_js(const struct request *request)
{
    return answer_static(request, TYPE_JS, web_screen_js);
}

enum MHD_Result answer_health(const struct request *request)
{
    return answer_text(request, MHD_HTTP_OK, "alive\n");
}

/* Ready once it is known of each source whether it can be reached: until then the page tells less than it
 * could.
 */
enum MHD_Result answer_ready(const struct request *request)
{
    struct view *view = publish_view(request->http->publish);
    size_t missing = 0;
    for (size_t i = 0; i < view->source_count; i++)
        missing += !view->sources[i].status.polled;
    view_release(&view);
    if (missing == 0)
        return answer_text(request, MHD_HTTP_OK, "ready\n");
    struct buf text = buf_make(ANSWER_LIMIT);
    buf_add_format(&text, "not ready: %zu of the sources not polled yet\n", missing);
    return answer_buf(request, MHD_HTTP_SERVICE_UNAVAILABLE, TYPE_TEXT, &text);
}
