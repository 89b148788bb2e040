#include "exporter/http_routes.h"

#include "exporter/http_answer.h"

#include <string.h>

enum method { METHOD_GET = 1, METHOD_POST = 2 }; /* HEAD goes with GET */

static const struct route {
    const char *path; /* one that ends in "/" takes all that is below it, too; but "/" is only itself */
    unsigned methods;
    answer_request *answer;
} routes[] = {
    {"/", METHOD_GET, answer_screen},
    {"/groups/", METHOD_GET, answer_group_screen},
    {"/ledger", METHOD_GET, answer_ledger},
    {"/assets/screen.css", METHOD_GET, answer_css},
    {"/assets/screen.js", METHOD_GET, answer_js},
    {"/metrics", METHOD_GET, answer_metrics},
    {"/healthz", METHOD_GET, answer_health},
    {"/readyz", METHOD_GET, answer_ready},
    {"/-/reload", METHOD_POST, answer_reload},
    {"/api/v1/clusters", METHOD_GET, answer_clusters},
    {"/api/v1/topics", METHOD_GET, answer_topics},
    {"/api/v1/events", METHOD_GET, answer_events},
    {"/api/v1/config", METHOD_GET, answer_config},
    {"/api/v1/groups", METHOD_GET, answer_groups},
    {"/api/v1/groups/", METHOD_GET, answer_group},
};

/* What follows the route's path in `path`; NULL when the route is another's. */
static const char *match(const struct route *route, const char *path)
{
    size_t length = strlen(route->path);
    bool folder = length > 1 && route->path[length - 1] == '/';
    if (folder ? strncmp(route->path, path, length) != 0 : strcmp(route->path, path) != 0)
        return NULL;
    return path + length;
}

static unsigned method_of(const char *name)
{
    if (strcmp(name, MHD_HTTP_METHOD_GET) == 0 || strcmp(name, MHD_HTTP_METHOD_HEAD) == 0)
        return METHOD_GET;
    return strcmp(name, MHD_HTTP_METHOD_POST) == 0 ? METHOD_POST : 0;
}

static enum MHD_Result refuse_method(const struct request *request, unsigned methods)
{
    if (methods == METHOD_POST)
        return answer_text_allowing(request, "this path takes POST only\n", "POST");
    return answer_text_allowing(request, "this path takes GET and HEAD only\n", "GET, HEAD");
}

enum MHD_Result route_request(struct request *request)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        request->rest = match(&routes[i], request->path);
        if (request->rest == NULL)
            continue;
        if ((routes[i].methods & method_of(request->method)) == 0)
            return refuse_method(request, routes[i].methods);
        return routes[i].answer(request);
    }
    return answer_text(request, MHD_HTTP_NOT_FOUND,
                       "nothing here: try / for people, /metrics for Prometheus, /healthz and /readyz, and "
                       "/api/v1/clusters, groups, topics, events or config for programs\n");
}
