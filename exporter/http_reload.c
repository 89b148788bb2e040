#include "exporter/base/buf.h"
#include "exporter/http_answer.h"
#include "exporter/http_routes.h"

/* POST /-/reload, as Prometheus has it. Opening a source waits for nothing, so it is done while the client
 * waits: the answer says how it ended. */
enum MHD_Result answer_reload(const struct request *request)
{
    const struct http_config *config = &request->http->config;
    if (config->reload == NULL)
        return answer_text(request, MHD_HTTP_FORBIDDEN,
                           "reloading by HTTP is not enabled: start with --web.enable-lifecycle\n");
    struct error error = {0};
    if (config->reload(config->context, &error))
        return answer_text(request, MHD_HTTP_OK, "reloaded\n");
    struct buf text = buf_make(ANSWER_LIMIT);
    buf_add_format(&text, "not reloaded, the configuration before stays in force: %s\n", error_text(&error));
    error_clear(&error);
    return answer_buf(request, MHD_HTTP_INTERNAL_SERVER_ERROR, TYPE_TEXT, &text);
}
