#ifndef TIDEMARK_BASE_THREAD_H
#define TIDEMARK_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits for the thread's end until that time of clock_monotonic_us(), at most. True: it has ended and is
 * joined. */
bool thread_join_until(pthread_t thread, int64_t deadline_us);

#endif
