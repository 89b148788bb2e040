#include "exporter/http.h"

#include "exporter/base/mem.h"
#include "exporter/http_listen.h"
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
    static char header_seen;
    if (*state == NULL) {
        *state = &header_seen;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return route_request(&(struct request){.http = context, .connection = connection, .path = path}, method);
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, http,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
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
    if (http_listen_port(fd, &http->port))
        http->daemon = start_daemon(http, fd);
    if (http->daemon == NULL) {
        error_set(error, ERROR_IO, "can't start the HTTP server on port %u", (unsigned)http->port);
        close(fd);
        free(http);
        return NULL;
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
    MHD_stop_daemon((*http)->daemon); /* closes the socket, too */
    free(*http);
    *http = NULL;
}
