#ifndef TIDEMARK_PROCESS_H
#define TIDEMARK_PROCESS_H

#include <stdint.h>

/* What the kernel says about this process; UNKNOWN where it doesn't. */
struct process_stats {
    int64_t cpu_us; /* user and system */
    int64_t resident_bytes, virtual_bytes;
    int64_t start_time; /* milliseconds since 1970 */
    int64_t open_fds, max_fds;
};

/* Reads them from the proc file system, which is memory. Any thread. */
struct process_stats process_read(void);

#endif
