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
    const char *host; /* address or name to listen on; NULL or "": every address */
    uint16_t port;    /* 0: one that is free */
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

/* The port that it listens on. */
uint16_t http_port(const struct http *http);

/* Stops listening, ends the connections, joins the threads; sets *http to NULL. NULL is accepted. */
void http_stop(struct http **http);

#endif
