#ifndef TIDEMARK_HTTP_LISTEN_H
#define TIDEMARK_HTTP_LISTEN_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A socket that listens on an address or name (NULL or "": on every address, IPv4 and IPv6) and port (0: one
 * that is free); the caller closes it. -1: ERROR_UNAVAILABLE when the port is in use, ERROR_DENIED when it
 * may not be had, ERROR_USAGE when the address is none of this machine. */
int http_listen(const char *host, uint16_t port, struct error *error);

/* The port that the socket listens on. */
bool http_listen_port(int fd, uint16_t *port);

#endif
