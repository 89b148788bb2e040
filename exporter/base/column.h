#ifndef TIDEMARK_BASE_COLUMN_H
#define TIDEMARK_BASE_COLUMN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The same member of the structs of an array, which for that needn't be copied: borrowed, as long as the
 * array lives. */
struct column {
    const char *first; /* of the members, each an int64_t */
    size_t step;       /* bytes from one to the next */
};

static inline struct column column_of(const int64_t *first, size_t step)
{
    return (struct column){(const char *)first, step};
}

static inline int64_t column_value(struct column column, size_t index)
{
    int64_t value;
    memcpy(&value, column.first + index * column.step, sizeof value);
    return value;
}

#endif
