#ifndef TIDEMARK_TESTS_LOGSTORE_CALLS_H
#define TIDEMARK_TESTS_LOGSTORE_CALLS_H

#include "logstore/fsio.h"

/* How often files are read and opened while fsio_fault is &counting. */
static long reads, opens;

static int count_calls(void *context, struct fsio_step *step)
{
    (void)context;
    reads += step->call == FSIO_READ;
    opens += step->call == FSIO_OPEN;
    return 0;
}

static const struct fsio_fault counting = {.before = count_calls};

#endif
