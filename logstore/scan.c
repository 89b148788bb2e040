#include "logstore/scan.h"

#include <stdlib.h>
#include <string.h>

/* As much as the second-level cache holds with ease, so that the checksum finds the bytes there. */
enum { WINDOW = 262144 };

static bool reserve(struct scan *scan, size_t capacity, struct error *error)
{
    if (capacity <= scan->capacity)
        return true;
    uint8_t *bytes = realloc(scan->bytes, capacity);
    if (bytes == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to read a batch of %zu bytes", capacity);
        return false;
    }
    scan->bytes = bytes;
    scan->capacity = capacity;
    return true;
}

/* Moves the window to `position`; what it holds from there on needn't be read again. */
static void advance(struct scan *scan, const struct segment *segment, uint64_t position)
{
    uint64_t skipped = position - scan->position;
    bool kept = scan->segment == segment && position >= scan->position && skipped < scan->length;
    scan->length = kept ? scan->length - (size_t)skipped : 0;
    if (kept)
        memmove(scan->bytes, scan->bytes + skipped, scan->length);
    scan->segment = segment;
    scan->position = position;
}

/* Makes the window hold `count` bytes at `position`, when the file has as many; more when that costs no
 * further call. */
static bool fill(struct scan *scan, const struct segment *segment, uint64_t position, size_t count,
                 uint64_t limit, struct error *error)
{
    if (scan->segment == segment && position >= scan->position &&
        position - scan->position + count <= scan->length)
        return true;
    size_t wanted = count < WINDOW ? WINDOW : count, got;
    if (wanted > limit - position)
        wanted = (size_t)(limit - position);
    advance(scan, segment, position);
    if (scan->length >= wanted)
        return true;
    if (!reserve(scan, wanted < WINDOW ? WINDOW : wanted, error) ||
        !fsio_read(&segment->log, scan->bytes + scan->length, wanted - scan->length, position + scan->length,
                   &got, error)) {
        scan_forget(scan);
        return false;
    }
    scan->length += got;
    return true;
}

/* The bytes at `position`; NULL when the window holds fewer than `count`. */
static const uint8_t *held(const struct scan *scan, uint64_t position, size_t count)
{
    size_t skipped = (size_t)(position - scan->position);
    return scan->length >= skipped && scan->length - skipped >= count ? scan->bytes + skipped : NULL;
}

bool scan_header(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
                 int64_t expected, struct batch *batch, struct error *error)
{
    if (limit < position || limit - position < BATCH_HEADER_SIZE) {
        segment_damaged(segment, position, "no batch of records", error);
        return false;
    }
    if (!fill(scan, segment, position, BATCH_HEADER_SIZE, limit, error))
        return false;
    const uint8_t *header = held(scan, position, BATCH_HEADER_SIZE);
    if (header == NULL || !batch_decode_header(header, batch)) {
        segment_damaged(segment, position, "no batch of records", error);
        return false;
    }
    return segment_check_header(segment, position, limit, expected, batch, error);
}

bool scan_body(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
               const struct batch *batch, const uint8_t **bytes, struct error *error)
{
    if (!fill(scan, segment, position, batch->length, limit, error))
        return false;
    *bytes = held(scan, position, batch->length);
    if (*bytes != NULL && batch_body_whole(batch, *bytes))
        return true;
    segment_damaged(segment, position, "bad checksum in the batch", error);
    return false;
}

bool scan_batch(struct scan *scan, const struct segment *segment, uint64_t position, uint64_t limit,
                int64_t expected, struct batch *batch, const uint8_t **bytes, struct error *error)
{
    return scan_header(scan, segment, position, limit, expected, batch, error) &&
           scan_body(scan, segment, position, limit, batch, bytes, error);
}

bool scan_write_again(const struct segment *segment, uint64_t from, uint64_t to, struct error *error)
{
    struct scan scan = {0};
    bool done = true;
    while (done && from < to) {
        struct batch batch = {0};
        const uint8_t *bytes;
        done = scan_batch(&scan, segment, from, to, -1, &batch, &bytes, error) &&
               fsio_write(&segment->log, bytes, batch.length, from, error);
        from += batch.length;
    }
    scan_free(&scan);
    return done;
}

void scan_forget(struct scan *scan)
{
    scan->segment = NULL;
    scan->length = 0;
}

void scan_free(struct scan *scan)
{
    free(scan->bytes);
    *scan = (struct scan){0};
}
