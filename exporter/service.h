#ifndef TIDEMARK_SERVICE_H
#define TIDEMARK_SERVICE_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The daemon without its command line: what is published, a poller for each source, and the HTTP server. */
struct service;

/* What the build and the libraries say of themselves, and the kinds of source there are (NULL-terminated). */
struct service_environment {
    const char *version, *librdkafka_version;
    const struct collector_kind *const *kinds;
};

/* Opens all sources of the configuration; nothing is asked yet. `config` and `environment` outlive the
 * service. NULL: ERROR_USAGE when a source's configuration can't work. */
struct service *service_new(const struct config *config, const struct service_environment *environment,
                            struct error *error);

/* Listens, and starts a thread a source. For the errors of listening see http_start(). */
bool service_start(struct service *service, struct error *error);

/* The port that it listens on. */
uint16_t service_port(const struct service *service);

/* Polls every source once and writes the page of metrics to `out`; instead of service_start(). False, with
 * the first reason, when no source could be observed or the page not be written. */
bool service_print_once(struct service *service, FILE *out, struct error *error);

/* Ends it all within two seconds; sets *service to NULL; NULL is accepted. False when a source didn't answer
 * in that time: then its thread is still there, and the process has to end by _exit(). */
bool service_stop(struct service **service);

#endif
