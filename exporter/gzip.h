#ifndef TIDEMARK_GZIP_H
#define TIDEMARK_GZIP_H

#include "exporter/base/buf.h"

#include <stdbool.h>

/* Compresses what is added into one gzip member (RFC 1952): some clients stop after the first of several. It
 * is done piece by piece, so what is compressed never lies in memory as a whole. One thread each. */
struct gzip;

/* Free it with gzip_free(). NULL: no memory. */
struct gzip *gzip_new(void);

/* Compresses the bytes, and appends to `out` what has come of it so far. A failure is latched in `out`. */
void gzip_add(struct gzip *gzip, struct str bytes, struct buf *out);

/* Appends the rest: the member is complete, and nothing may be added any more. */
void gzip_end(struct gzip *gzip, struct buf *out);

/* Frees it and sets *gzip to NULL; NULL is accepted. */
void gzip_free(struct gzip **gzip);

#endif
