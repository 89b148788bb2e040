#ifndef TIDEMARK_ASK_H
#define TIDEMARK_ASK_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"

#include <stdbool.h>

/* Asking a daemon that runs, over HTTP. */
struct ask {
    const char *url;            /* as far as its paths; with user and password where it wants them */
    const char *ca_certificate; /* file that https is verified with; NULL: the system's */
};

/* Appends the answer to a GET of `path`, which begins with "/". `*found` is false when the daemon said that
 * there is no such thing (404). False for any other failure: ERROR_UNAVAILABLE when nobody answers,
 * ERROR_DENIED when a password is wanted. One thread. */
bool ask_get(const struct ask *ask, const char *path, struct buf *answer, bool *found, struct error *error);

/* Appends the text percent-encoded, as one segment of a path or a value of a query (RFC 3986). */
void ask_add_encoded(struct buf *path, const char *text);

#endif
