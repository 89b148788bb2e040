#include "exporter/base/thread.h"

#include "exporter/base/clock.h"

#include <time.h>

bool thread_join_until(pthread_t thread, int64_t deadline_us)
{
    int64_t left = deadline_us - clock_monotonic_us();
    /* pthread_timedjoin_np() knows the wall clock only. */
    int64_t until_ms = clock_wall_ms() + (left > 0 ? left / 1000 : 0);
    struct timespec deadline = {.tv_sec = (time_t)(until_ms / 1000),
                                .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_timedjoin_np(thread, NULL, &deadline) == 0;
}
