#include "exporter/http.h"

#include "exporter/base/buf.h"
#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "exporter/encode.h"
#include "exporter/html.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http {
    struct http_config config;
    struct publish *publish;
    struct MHD_Daemon *daemon;
    uint16_t port;
};

enum {
    THREADS = 2,
    IDLE_SECONDS = 30,
    CONNECTIONS = 512,
    PIECE = 256 * 1024, /* of a page, rendered at a time */
    /* The library sends a page of unknown length in chunks that have to fit into the connection's memory. It
     * is touched only as far as it is used. */
    CONNECTION_MEMORY = PIECE + 16 * 1024,
    PAGE_LIMIT = 64 * 1024 * 1024,
    BACKLOG = 128,
};

/* --- answers ------------------------------------------------------------------------------------------- */

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status, const char *type,
                                     struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (result == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* `text` is static. */
static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *text,
                                 const char *allow)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response != NULL && allow != NULL &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) != MHD_YES) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return send_response(connection, status, "text/plain; charset=utf-8", response);
}

/* Takes the bytes over. */
static enum MHD_Result send_buf(struct MHD_Connection *connection, const char *type, struct buf *buf)
{
    if (!buf_ok(buf)) {
        buf_free(buf);
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the page is too large\n", NULL);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(buf->length, buf->bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        buf_free(buf);
    return send_response(connection, MHD_HTTP_OK, type, response);
}

static struct page_facts page_facts(const struct http *http)
{
    return (struct page_facts){
        .now = clock_wall_ms(),
        .process = process_read(),
        .version = http->config.version,
        .librdkafka_version = http->config.librdkafka_version,
        .cluster_label = http->config.cluster_label,
    };
}

/* --- /metrics: a page that is rendered while it is sent ------------------------------------------------ */

struct stream {
    struct page *page;
    struct buf piece;
    size_t sent; /* bytes of the piece */
    bool more;
};

static ssize_t read_stream(void *context, uint64_t position, char *target, size_t room)
{
    (void)position; /* the library asks in order */
    struct stream *stream = context;
    if (stream->sent == stream->piece.length) {
        if (!stream->more)
            return MHD_CONTENT_READER_END_OF_STREAM;
        buf_reset(&stream->piece);
        stream->sent = 0;
        stream->more = page_render(stream->page, &stream->piece, PIECE);
        /* Cut off rather than end well: a scraper must not take half a page for a whole one. */
        if (!buf_ok(&stream->piece))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = stream->piece.length - stream->sent, count = left < room ? left : room;
    if (count == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(target, stream->piece.bytes + stream->sent, count);
    stream->sent += count;
    return (ssize_t)count;
}

static void free_stream(void *context)
{
    struct stream *stream = context;
    page_free(&stream->page);
    buf_free(&stream->piece);
    free(stream);
}

static enum MHD_Result send_metrics(struct http *http, struct MHD_Connection *connection)
{
    struct page_facts facts = page_facts(http);
    struct stream *stream = MEM_NEW(struct stream);
    stream->page = page_new(publish_view(http->publish), &facts);
    stream->piece = buf_make(PAGE_LIMIT);
    stream->more = true;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_stream, stream, free_stream);
    if (response == NULL)
        free_stream(stream);
    return send_response(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", response);
}

/* --- the routes ---------------------------------------------------------------------------------------- */

static enum MHD_Result send_screen(struct http *http, struct MHD_Connection *connection)
{
    struct view *view = publish_view(http->publish);
    struct buf html = buf_make(PAGE_LIMIT);
    html_render(view, clock_wall_ms(), &html);
    view_release(&view);
    return send_buf(connection, "text/html; charset=utf-8", &html);
}

static enum MHD_Result send_health(struct http *http, struct MHD_Connection *connection)
{
    (void)http;
    return send_text(connection, MHD_HTTP_OK, "alive\n", NULL);
}

static const struct route {
    const char *path;
    enum MHD_Result (*answer)(struct http *http, struct MHD_Connection *connection);
} routes[] = {
    {"/", send_screen},
    {"/metrics", send_metrics},
    {"/healthz", send_health},
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

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
    const struct route *route = find_route(path);
    if (route == NULL)
        return send_text(connection, MHD_HTTP_NOT_FOUND,
                         "nothing here: try / for people, /metrics for Prometheus, /healthz\n", NULL);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes GET and HEAD only\n",
                         "GET, HEAD");
    return route->answer(context, connection);
}

/* --- listening ----------------------------------------------------------------------------------------- */

/* A socket that listens on the address, or -1 with errno. */
static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    bool prepared = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    /* The IPv6 wildcard serves IPv4, too. */
    if (address->ai_family == AF_INET6)
        prepared = prepared && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (prepared && bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static void set_listen_error(struct error *error, const struct http_config *config, int reason)
{
    const char *host = config->host != NULL ? config->host : "";
    enum error_code code = ERROR_USAGE;
    const char *remedy = "give an address of this machine";
    if (reason == EADDRINUSE) {
        code = ERROR_UNAVAILABLE;
        remedy = "end the program that has it, or choose another with --listen ADDRESS:PORT";
    } else if (reason == EACCES) {
        code = ERROR_DENIED;
        remedy = "choose a port above 1023 with --listen ADDRESS:PORT";
    }
    error_set(error, code, "can't listen on %s:%u: %s; %s", host, (unsigned)config->port, strerror(reason),
              remedy);
}

/* The first of the addresses that can be listened on; IPv6 first, since its wildcard serves both. */
static int listen_on_first(const struct addrinfo *addresses)
{
    static const int families[] = {AF_INET6, AF_INET};
    int reason = EADDRNOTAVAIL;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
            if (address->ai_family != families[f])
                continue;
            int fd = listen_on(address);
            if (fd >= 0)
                return fd;
            /* "No IPv6 here" says less than what IPv4 is going to say. */
            reason = errno;
        }
    }
    errno = reason;
    return -1;
}

static int open_socket(const struct http_config *config, struct error *error)
{
    const char *host = config->host == NULL || *config->host == '\0' ? NULL : config->host;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)config->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int code = getaddrinfo(host, service, &hints, &addresses);
    if (code != 0) {
        error_set(error, ERROR_USAGE, "can't listen on %s:%s: %s; give an address of this machine",
                  host != NULL ? host : "", service, gai_strerror(code));
        return -1;
    }
    int fd = listen_on_first(addresses);
    if (fd < 0)
        set_listen_error(error, config, errno);
    freeaddrinfo(addresses);
    return fd;
}

static bool read_port(int fd, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char service[8];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, service, sizeof service, NI_NUMERICSERV) !=
            0)
        return false;
    *port = (uint16_t)strtoul(service, NULL, 10);
    return true;
}

struct http *http_start(const struct http_config *config, struct publish *publish, struct error *error)
{
    int fd = open_socket(config, error);
    if (fd < 0)
        return NULL;
    struct http *http = MEM_NEW(struct http);
    http->config = *config;
    http->publish = publish;
    if (read_port(fd, &http->port))
        http->daemon = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, http, MHD_OPTION_LISTEN_SOCKET, fd,
            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_TIMEOUT,
            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
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
