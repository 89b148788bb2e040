#include "exporter/http.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "exporter/http_answer.h"
#include "exporter/http_connections.h"
#include "exporter/http_listen.h"
#include "exporter/http_packed.h"
#include "exporter/http_routes.h"
#include "exporter/http_server.h"
#include "exporter/http_web.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS = 2,
    ROOM = 4, /* times as many connections as are kept: at that number the library would stop accepting */
    CONNECTIONS_PER_ADDRESS = 256,
    FINISH_US = 1000 * 1000, /* for answers that are under way at the end */
    LOOK_US = 2000,
    /* The header of a request has to fit, and that of its answer. The library keeps it, all of it touched,
     * for as long as a connection lives. */
    CONNECTION_MEMORY = 32 * 1024,
};

/* The byte that two hexadecimal digits stand for; -1 where there aren't two. */
static int hex_byte(const char *digits)
{
    int byte = 0;
    for (int i = 0; i < 2; i++) {
        if (!isxdigit((unsigned char)digits[i]))
            return -1;
        int letter = tolower((unsigned char)digits[i]);
        byte = byte * 16 + (isdigit(letter) ? letter - '0' : letter - 'a' + 10);
    }
    return byte;
}

/* Decodes %XX in place, as the library would do; but for %00, by which it would take what stands before for
 * all. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        int byte = *from == '%' ? hex_byte(from + 1) : -1;
        *to++ = byte > 0 ? (char)byte : *from;
        from += byte > 0 ? 3 : 1;
    }
    *to = '\0';
    return (size_t)(to - text);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version, (void)upload;
    /* The library calls once for the header, then for each piece of a body, then once more. No route takes a
     * body: it is read and dropped. */
    if (*state == NULL) {
        *state = MEM_NEW(struct exchange);
        atomic_fetch_add(&((struct http *)context)->answering, 1);
        connections_begin_answer(((struct http *)context)->connections, connection);
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct http *http = context;
    struct exchange *exchange = *state;
    if (exchange->admission == ADMISSION_UNKNOWN) {
        enum admission admission = web_admit(http->web, connection, &exchange->admission);
        if (admission == ADMISSION_UNKNOWN)
            return MHD_YES; /* it waits, and is asked again once it is known */
        exchange->admission = admission;
    }
    struct request request = {
        .http = http, .connection = connection, .method = method, .path = path, .exchange = exchange};
    return exchange->admission == ADMITTED ? route_request(&request) : answer_unauthorized(&request);
}

static void end_exchange(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode reason)
{
    (void)reason;
    connections_end_answer(((struct http *)context)->connections, connection);
    atomic_fetch_sub(&((struct http *)context)->answering, 1);
    free(*state);
    *state = NULL;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem protection[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)web_choose_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)web_priorities(http->web)},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct connection_limits *limits = &connections_default_limits;
    bool tls = web_has_tls(http->web);
    return MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, answer, http, MHD_OPTION_ARRAY,
                            tls ? protection : &protection[2], MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_NOTIFY_COMPLETED,
                            end_exchange, http, MHD_OPTION_NOTIFY_CONNECTION, connections_notify,
                            http->connections, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)limits->idle_seconds,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)(ROOM * limits->most),
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
    pthread_mutex_init(&http->extents_lock, NULL); /* can't fail with default attributes on Linux */
    http->web = web_start(config->web_config_file, error);
    if (http->web != NULL)
        http->connections = connections_start(&connections_default_limits, error);
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

bool http_reload(struct http *http, struct error *error)
{
    return web_reload(http->web, error);
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

/* Takes no further connection, and lets the answers under way end if they do so soon. */
static void end_daemon(struct http *http)
{
    int fd = MHD_quiesce_daemon(http->daemon);
    int64_t until = clock_monotonic_us() + FINISH_US;
    while (atomic_load(&http->answering) > 0 && clock_monotonic_us() < until)
        usleep(LOOK_US);
    MHD_stop_daemon(http->daemon);
    if (fd >= 0)
        close(fd);
}

void http_stop(struct http **http)
{
    if (*http == NULL)
        return;
    if ((*http)->packed != NULL)
        packed_stop((*http)->packed);
    if ((*http)->web != NULL)
        web_refuse_unknown((*http)->web);
    if ((*http)->daemon != NULL)
        end_daemon(*http);
    packed_free(&(*http)->packed);
    connections_stop(&(*http)->connections);
    web_stop(&(*http)->web);
    pthread_mutex_destroy(&(*http)->extents_lock);
    free(*http);
    *http = NULL;
}
