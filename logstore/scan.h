#ifndef LOGSTORE_SCAN_H
#define LOGSTORE_SCAN_H

#include "logstore/segment.h"

/* A window on a segment, through which its batches are read and checked one after the other. Starts as {0}.
 */
struct scan {
    uint8_t *bytes; /* owned */
    size_t capacity;
    const struct segment *segment; /* whose bytes those are; NULL: none */
    uint64_t position;             /* of the first of them */
    size_t length;
};

/* Reads the header of the batch at `position`, and checks it; `expected` and `limit` as of
 * segment_read_header(). ERROR_CORRUPT names segment and position. The header that ends a segment is a batch
 * too. */
bool scan_header(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
                 int64_t expected, struct batch *batch, struct error *error);

/* Reads the whole of that batch, and checks its body; the bytes are valid until the next call. */
bool scan_body(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
               const struct batch *batch, const uint8_t **bytes, struct error *error);

/* Both. */
bool scan_batch(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
                int64_t expected, struct batch *batch, const uint8_t **bytes, struct error *error);

/* Writes the batches from one position up to another once more where they are. ERROR_CORRUPT as above. */
bool scan_write_again(const struct segment *segment, uint64_t from, uint64_t to, struct error *error);

/* Forgets what was read, e.g. since the segment is another one now. */
void scan_forget(struct scan *scan);
void scan_free(struct scan *scan);

#endif
