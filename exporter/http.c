#include "exporter/http.h"

#include "exporter/base/mem.h"
#include "exporter/http_listen.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"
#include "exporter/http_server.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS = 2,
    IDLE_SECONDS = 30,
    CONNECTIONS = 512,
    /* The library sends a page of unknown length in chunks that have to fit into the connection's memory. It
     * is touched only as far as it is used. */
    CONNECTION_MEMORY = HTTP_PIECE + 16 * 1024,
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version, (void)upload;
    /* The library calls once for the header, then for each piece of a body, then once more. No route takes a
     * body: it is read and dropped. */
    if (*state == NULL) {
        *state = MEM_NEW(struct exchange);
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct request request = {.http = context, .connection = connection, .exchange = *state, .path = path};
    return route_request(&request, method);
}

static void end_exchange(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode reason)
{
    (void)context, (void)connection, (void)reason;
    free(*state);
    *state = NULL;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer,
                            http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
                            (unsigned)THREADS, MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
}

struct http *http_start(const struct http_config *config, struct publish *publish, struct error *error)
{
    int fd = http_listen(config->host, config->port, error);
    if (fd < 0)
        return NULL;
    struct http *http = MEM_NEW(struct http);
    http->config = *config;
    http->publish = publish;
    http->packed = packed_start(http, error);
    if (http->packed != NULL && http_listen_port(fd, &http->port))
        http->daemon = start_daemon(http, fd);
    if (http->daemon == NULL) {
        if (http->packed != NULL)
            error_set(error, ERROR_IO, "can't start the HTTP server on port %u", (unsigned)http->port);
        close(fd);
        http_stop(&http);
    }
    return http;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

void http_stop(struct http **http)
{
    if (*http == NULL)
        return;
    if ((*http)->packed != NULL)
        packed_stop((*http)->packed);
    if ((*http)->daemon != NULL)
        MHD_stop_daemon((*http)->daemon); /* closes the socket, too */
    packed_free(&(*http)->packed);
    free(*http);
    *http = NULL;
}
