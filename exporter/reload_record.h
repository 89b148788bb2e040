#ifndef TIDEMARK_RELOAD_RECORD_H
#define TIDEMARK_RELOAD_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How the last attempt to read the configuration ended: written by who reads it, read by every page. */
struct reload_record {
    atomic_bool failed;
    _Atomic int64_t last_success; /* milliseconds since 1970 */
};

#endif
