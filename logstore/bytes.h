#ifndef LOGSTORE_BYTES_H
#define LOGSTORE_BYTES_H

#include "exporter/base/str.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Little-endian numbers at any address. */

static inline uint16_t get16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static inline uint32_t get32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static inline uint64_t get64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static inline void put16(void *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static inline void put32(void *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static inline void put64(void *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

/* Reads a run of bytes that nobody vouches for: whatever would go beyond its end yields 0 and is remembered
 * in `failed`, so that a decoder checks once, at its end. */
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct cursor cursor_make(const void *bytes, size_t length)
{
    return (struct cursor){bytes, (const uint8_t *)bytes + length, false};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* `count` bytes; NULL when there aren't as many. */
static inline const uint8_t *cursor_take(struct cursor *cursor, size_t count)
{
    if (cursor->failed || count > cursor_left(cursor)) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *taken = cursor->at;
    cursor->at += count;
    return taken;
}

static inline uint32_t cursor_u32(struct cursor *cursor)
{
    const uint8_t *bytes = cursor_take(cursor, 4);
    return bytes == NULL ? 0 : get32(bytes);
}

static inline uint64_t cursor_u64(struct cursor *cursor)
{
    const uint8_t *bytes = cursor_take(cursor, 8);
    return bytes == NULL ? 0 : get64(bytes);
}

static inline int64_t cursor_i64(struct cursor *cursor)
{
    return (int64_t)cursor_u64(cursor);
}

/* A length of four bytes and as many bytes; they stay where they are. */
static inline struct str cursor_str(struct cursor *cursor)
{
    uint32_t length = cursor_u32(cursor);
    const uint8_t *bytes = cursor_take(cursor, length);
    return bytes == NULL ? STR_LITERAL("") : (struct str){(const char *)bytes, length};
}

/* LEB128 of at most ten bytes. */
static inline uint64_t cursor_uvarint(struct cursor *cursor)
{
    if (!cursor->failed && cursor->at < cursor->end && *cursor->at < 0x80)
        return *cursor->at++; /* as nearly always */
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = cursor_take(cursor, 1);
        if (byte == NULL)
            return 0;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    cursor->failed = true;
    return 0;
}

/* Writes a uvarint, at most ten bytes, and returns the place behind it. */
static inline uint8_t *put_uvarint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t uvarint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

/* Zigzag: small numbers of either sign become small. Through unsigned, since the sum may wrap. */
static inline uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

#endif
