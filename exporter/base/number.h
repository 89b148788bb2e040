#ifndef TIDEMARK_BASE_NUMBER_H
#define TIDEMARK_BASE_NUMBER_H

#include <stdint.h>

/* a + b, or the end of the range that the sum would pass: a commit may be as large as an int64_t, and a sum
 * of two of them must neither wrap around nor be undefined. */
static inline int64_t number_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

#endif
