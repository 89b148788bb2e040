#include "exporter/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_CAPACITY = 256, LONGEST_INTEGER = 20 };

struct buf buf_make(size_t limit)
{
    return (struct buf){.limit = limit};
}

void buf_free(struct buf *buf)
{
    free(buf->bytes);
    *buf = buf_make(buf->limit);
}

void buf_reset(struct buf *buf)
{
    buf->length = 0;
    buf->failed = false;
}

/* Doubling keeps the copies linear in the final length. */
static bool grow(struct buf *buf, size_t needed)
{
    size_t capacity = buf->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : buf->capacity;
    while (capacity < needed && capacity <= buf->limit / 2)
        capacity *= 2;
    if (capacity < needed || capacity > buf->limit)
        capacity = buf->limit;
    char *bytes = realloc(buf->bytes, capacity);
    if (bytes == NULL)
        return false;
    buf->bytes = bytes;
    buf->capacity = capacity;
    return true;
}

char *buf_make_room(struct buf *buf, size_t count)
{
    if (buf->failed)
        return NULL;
    if (count > buf->limit - buf->length) {
        buf->failed = true;
        return NULL;
    }
    size_t needed = buf->length + count;
    if ((needed > buf->capacity || buf->bytes == NULL) && !grow(buf, needed)) {
        buf->failed = true;
        return NULL;
    }
    return buf->bytes + buf->length;
}

void buf_add_str(struct buf *buf, struct str text)
{
    buf_add(buf, text.bytes, text.length);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_int(struct buf *buf, int64_t value)
{
    char digits[LONGEST_INTEGER];
    size_t start = sizeof digits;
    /* Through unsigned, because -INT64_MIN is no int64_t. */
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--start] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        digits[--start] = '-';
    buf_add(buf, digits + start, sizeof digits - start);
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    buf_add(buf, text, (size_t)length);
    free(text);
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->bytes, buf->length};
}
