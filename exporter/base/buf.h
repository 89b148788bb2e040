#ifndef TIDEMARK_BASE_BUF_H
#define TIDEMARK_BASE_BUF_H

#include "exporter/base/str.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A growing run of bytes. The first failure (no memory, over the limit) is latched: everything after it is
 * ignored, and buf_ok() tells at the end. So a writer checks once, not after every piece.
 */
struct buf {
    char *bytes;     /* owned; NULL while nothing was added; not NUL-terminated */
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated, never more than the limit */
    size_t limit;    /* length that it never exceeds */
    bool failed;
};

/* An empty buffer that will hold at most `limit` bytes. Allocates nothing yet. */
struct buf buf_make(size_t limit);

/* Frees the bytes and makes the buffer empty; the limit stays. */
void buf_free(struct buf *buf);

/* Empties the buffer and forgets a failure, but keeps the memory for the next use. */
void buf_reset(struct buf *buf);

/* False once anything could not be added. */
static inline bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

/* buf_room() where there isn't any yet. */
char *buf_make_room(struct buf *buf, size_t count);

/* Room for `count` further bytes, to be filled at the returned place and then claimed with buf_claim();
 * NULL when the buffer has failed. The place is valid until the next call. Inline, as is what is called for
 * each piece of a line. */
static inline char *buf_room(struct buf *buf, size_t count)
{
    bool there = !buf->failed && buf->bytes != NULL && count <= buf->capacity - buf->length;
    return there ? buf->bytes + buf->length : buf_make_room(buf, count);
}

static inline void buf_claim(struct buf *buf, size_t count)
{
    assert(count <= buf->capacity - buf->length);
    buf->length += count;
}

static inline void buf_add(struct buf *buf, const void *bytes, size_t count)
{
    char *room = count == 0 ? NULL : buf_room(buf, count);
    if (room == NULL)
        return;
    memcpy(room, bytes, count);
    buf_claim(buf, count);
}

void buf_add_str(struct buf *buf, struct str text);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_int(struct buf *buf, int64_t value);
void buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is in the buffer; valid until the next change. */
struct str buf_str(const struct buf *buf);

#endif
