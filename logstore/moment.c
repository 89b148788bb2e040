#include "logstore/moment.h"

#include "logstore/fsio.h"

#include "exporter/base/clock.h"

struct moment moment_now(void)
{
    return (struct moment){clock_wall_ms(), clock_monotonic_us() / 1000, fsio_boot()};
}
