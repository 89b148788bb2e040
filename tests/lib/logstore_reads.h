#ifndef TIDEMARK_TESTS_LOGSTORE_READS_H
#define TIDEMARK_TESTS_LOGSTORE_READS_H

#include "logstore/fsio.h"

/* How often files are read while fsio_fault is &counting. */
static long reads;

static int count_reads(void *context, struct fsio_step *step)
{
    (void)context;
    reads += step->call == FSIO_READ;
    return 0;
}

static const struct fsio_fault counting = {.before = count_reads};

#endif
