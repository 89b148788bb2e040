#include "exporter/http.h"

#include "exporter/base/mem.h"
#include "exporter/http_connections.h"
#include "exporter/http_listen.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"
#include "exporter/http_server.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS = 2,
    /* The library would stop accepting; http_connections.h makes room long before. */
    HARD_CONNECTION_LIMIT = 4 * CONNECTIONS_MOST,
    CONNECTIONS_PER_ADDRESS = 256,
    /* The header of a request has to fit, and a chunk of a page. It is touched only as far as it is used. */
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
        connections_begin_answer(((struct http *)context)->connections, connection);
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
    (void)reason;
    connections_end_answer(((struct http *)context)->connections, connection);
    free(*state);
    *state = NULL;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer,
                            http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
                            (unsigned)THREADS, MHD_OPTION_NOTIFY_COMPLETED, end_exchange, http,
                            MHD_OPTION_NOTIFY_CONNECTION, connections_notify, http->connections,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTIONS_IDLE_SECONDS,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)HARD_CONNECTION_LIMIT,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS,
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
    http->connections = connections_start(error);
    if (http->connections != NULL)
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
    connections_stop(&(*http)->connections);
    free(*http);
    *http = NULL;
}
