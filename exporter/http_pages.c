#include "exporter/base/clock.h"
#include "exporter/html.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"

enum MHD_Result answer_screen(const struct request *request)
{
    struct view *view = publish_view(request->http->publish);
    struct buf html = buf_make(ANSWER_LIMIT);
    html_render(view, clock_wall_ms(), &html);
    view_release(&view);
    return answer_buf(request, MHD_HTTP_OK, TYPE_HTML, &html);
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
