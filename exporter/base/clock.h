#ifndef TIDEMARK_BASE_CLOCK_H
#define TIDEMARK_BASE_CLOCK_H

#include <stdint.h>

/* Times are int64_t milliseconds everywhere in the daemon; only text that leaves it is in seconds. */

/* Milliseconds since 1970-01-01 UTC: to be compared with timestamps of messages. May jump. */
int64_t clock_wall_ms(void);

/* Microseconds since some moment: for durations and deadlines. Never goes back. */
int64_t clock_monotonic_us(void);

#endif
