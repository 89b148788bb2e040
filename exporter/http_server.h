#ifndef TIDEMARK_HTTP_SERVER_H
#define TIDEMARK_HTTP_SERVER_H

#include "exporter/encode.h"
#include "exporter/http.h"
#include "exporter/http_passwords.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* What the files of the HTTP server share: none but them includes this. */

/* How much of a whole plain page comes of the view of that number, see http_stream.h. */
struct known_extent {
    uint64_t number; /* 0: nothing is known yet */
    struct page_extent extent;
    bool asked; /* somebody asked for the page since the last publication */
};

struct http {
    struct http_config config;
    struct publish *publish;
    struct packed *packed;
    struct connections *connections;
    struct web *web;
    struct MHD_Daemon *daemon;
    atomic_size_t answering; /* requests whose answer isn't over */
    uint16_t port;
    atomic_bool dropping; /* the last page had series left out */
    pthread_mutex_t extents_lock;
    struct known_extent extents[PAGE_FORMATS];
};

/* What is kept of a request while it is under way; the server frees it. */
struct exchange {
    enum admission admission; /* by its name and password */
    uint64_t view_number;     /* of what was published when it came; 0: nobody has asked yet */
};

/* A request whose header has been read. Valid until it is answered. */
struct request {
    struct http *http;
    struct MHD_Connection *connection;
    const char *method;
    const char *path; /* decoded, without the query */
    struct exchange *exchange;
    const char *rest; /* what follows the route's path, for a route that takes a whole folder; else "" */
};

/* What answers the requests of a route, in one of the server's threads: it waits for nothing. */
typedef enum MHD_Result answer_request(const struct request *request);

#endif
