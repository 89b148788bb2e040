#ifndef TIDEMARK_HTTP_H
#define TIDEMARK_HTTP_H

#include "exporter/base/error.h"
#include "exporter/measure.h"
#include "exporter/publish.h"

#include <stdbool.h>
#include <stdint.h>

/* The HTTP server: a table of routes to what is published. It sees no source, so no answer waits for one. */
struct http;

struct http_config {
    const char *host;            /* address or name to listen on; NULL or "": every address */
    uint16_t port;               /* 0: one that is free */
    const char *web_config_file; /* TLS, passwords and headers, see config_web.h; NULL: none */
    const struct program_facts *program;
    /* Reads the configuration once more; called from the server's threads. NULL: nobody may ask for it. */
    bool (*reload)(void *context, struct error *error);
    /* Appends the configuration in force, without its secrets, as JSON; called likewise. Never NULL where
     * anybody asks for /api/v1/config. */
    void (*describe)(void *context, struct buf *out);
    void *context;
};

/* Starts to listen and to serve what `publish` holds, in threads of its own. What the configuration points to
 * and `publish` outlive the server. NULL: ERROR_UNAVAILABLE when the port is in use, ERROR_DENIED when it may
 * not be had, ERROR_USAGE when the address is none of this machine. */
struct http *http_start(const struct http_config *config, struct publish *publish, struct error *error);

/* Reads the web configuration file again. False: what was in force stays. Any thread. */
bool http_reload(struct http *http, struct error *error);

/* The port that it listens on. */
uint16_t http_port(const struct http *http);

/* Stops listening, gives the answers under way a second to end, ends the connections, joins the threads; sets
 * *http to NULL. NULL is accepted. */
void http_stop(struct http **http);

#endif
