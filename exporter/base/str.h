#ifndef TIDEMARK_BASE_STR_H
#define TIDEMARK_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * A name as a cluster gave it: any bytes, NUL among them, of any length. Borrowed: whoever hands one out says
 * how long the bytes live. There is no terminating NUL to rely on.
 */
struct str {
    const char *bytes;
    size_t length;
};

#define STR_LITERAL(text) ((struct str){(text), sizeof(text) - 1})

/* Borrows a C string, which must not be NULL. */
static inline struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* Order of bytes, a prefix first: <0, 0 or >0. */
static inline int str_compare(struct str a, struct str b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

#endif
