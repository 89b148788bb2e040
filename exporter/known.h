#ifndef TIDEMARK_KNOWN_H
#define TIDEMARK_KNOWN_H

#include "exporter/base/number.h"
#include "exporter/snapshot.h"

/* Sums and extremes of what is known: UNKNOWN as long as nothing is. */

static inline void add_known(int64_t *sum, int64_t value)
{
    if (value != UNKNOWN)
        *sum = *sum == UNKNOWN ? value : number_add(*sum, value);
}

static inline void keep_smaller(int64_t *least, int64_t value)
{
    if (value != UNKNOWN && (*least == UNKNOWN || value < *least))
        *least = value;
}

static inline void keep_larger(int64_t *most, int64_t value)
{
    if (value > *most) /* UNKNOWN is smaller than anything */
        *most = value;
}

#endif
