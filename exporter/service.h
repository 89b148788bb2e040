#ifndef TIDEMARK_SERVICE_H
#define TIDEMARK_SERVICE_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/shared_config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The daemon without its command line: what is published, a poller for each source, and the HTTP server. */
struct service;

/* What the build and the libraries say of themselves, the kinds of source there are (NULL-terminated), and
 * how the configuration is read once more. */
struct service_environment {
    const char *version, *librdkafka_version;
    const struct collector_kind *const *kinds;
    /* Gives a complete configuration, which the caller frees in any case. NULL: there is nothing to reload.
     */
    bool (*read_config)(void *context, struct config *config, struct error *error);
    void *context;
};

/* Opens all sources of the configuration, which it holds; nothing is asked yet. `environment` outlives the
 * service. NULL: ERROR_USAGE when a source's configuration can't work. */
struct service *service_new(struct shared_config *shared, const struct service_environment *environment,
                            struct error *error);

/* Listens on the port, and starts a thread a source. For the errors of listening see http_start(). */
bool service_start(struct service *service, uint16_t port, struct error *error);

/* Reads the configuration once more and goes over to it: sources, filters, rules, and the log's format and
 * level. No scrape fails and no history is lost meanwhile: see sources.h. False: the one before stays in
 * force. How it ended is logged, and shown by tidemark_config_last_reload_successful. Any thread. */
bool service_reload(struct service *service, struct error *error);

/* True. It doesn't return when what all threads share is stuck. Any thread. */
bool service_alive(struct service *service);

/* The port that it listens on. */
uint16_t service_port(const struct service *service);

/* Polls every source once and writes the page of metrics to `out`; instead of service_start(). False, with
 * the first reason, when no source could be observed or the page not be written. */
bool service_print_once(struct service *service, FILE *out, struct error *error);

/* Ends it all within two seconds; sets *service to NULL; NULL is accepted. False when a source didn't answer
 * in that time: then its thread is still there, and the process has to end by _exit(). */
bool service_stop(struct service **service);

#endif
