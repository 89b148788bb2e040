#ifndef LOGSTORE_MOMENT_H
#define LOGSTORE_MOMENT_H

#include <stdint.h>

/*
 * A moment, by the clocks that groups go by. Time-outs go by the time for which the machine has run: it is
 * the same for all processes, nobody sets it, and it stands still while the machine sleeps, as the members
 * do. What outlives the machine's run, or is for people, goes by the wall clock, which may jump.
 */
struct moment {
    int64_t wall;  /* milliseconds since 1970 */
    int64_t run;   /* milliseconds for which the machine has run since it booted (CLOCK_MONOTONIC) */
    uint64_t boot; /* tells one run from another; 0: unknown */
};

struct moment moment_now(void);

#endif
