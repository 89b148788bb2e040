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
