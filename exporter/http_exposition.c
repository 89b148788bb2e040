#include "exporter/http_exposition.h"

#include "exporter/base/log.h"
#include "exporter/http_answer.h"

struct page *exposition_page(const struct http *http, enum page_format format,
                             const struct page_filter *filter, uint64_t *number)
{
    struct page_facts facts = page_facts_now(http->config.program);
    struct view *view = publish_view(http->publish);
    *number = view->number;
    return page_new(view, &facts, format, filter);
}

bool exposition_add_headers(const struct http *http, struct MHD_Response *response, enum page_format format,
                            bool compressed)
{
    static const char *const types[PAGE_FORMATS] = {
        [PAGE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [PAGE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    return answer_add_headers(http, response, types[format]) &&
           MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") == MHD_YES &&
           (!compressed ||
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") == MHD_YES);
}

void exposition_note_dropped(struct http *http, int64_t dropped)
{
    if (atomic_exchange(&http->dropping, dropped > 0) == (dropped > 0))
        return;
    if (dropped > 0)
        log_event(LOG_LEVEL_WARN,
                  "max_series leaves series off the page, those of the least grave groups first",
                  LOG_FIELDS(log_int("dropped", dropped)));
    else
        log_event(LOG_LEVEL_INFO, "no series is left off the page any more", LOG_NO_FIELDS);
}
