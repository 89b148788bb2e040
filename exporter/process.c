#include "exporter/process.h"

#include "exporter/base/clock.h"
#include "exporter/snapshot.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return UNKNOWN;
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static int64_t count_open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return UNKNOWN;
    int64_t count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the one that reads them */
}

static int64_t max_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT64_MAX)
        return UNKNOWN;
    return (int64_t)limit.rlim_cur;
}

/* Fields 22 to 24 of stat(5), proc: start time in ticks since boot, address space in bytes, resident pages.
 */
static void read_stat(struct process_stats *stats)
{
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return;
    char line[1024];
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    const char *after_name = strrchr(line, ')'); /* the name may hold anything, ")" too */
    uint64_t start_ticks, virtual_bytes, resident_pages;
    if (after_name == NULL ||
        sscanf(after_name + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
               "%*d %" SCNu64 " %" SCNu64 " %" SCNu64,
               &start_ticks, &virtual_bytes, &resident_pages) != 3)
        return;
    struct timespec since_boot;
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    if (clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0 || ticks <= 0 || page <= 0)
        return;
    int64_t boot = clock_wall_ms() - ((int64_t)since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1000000);
    stats->start_time = boot + (int64_t)(start_ticks * 1000 / (uint64_t)ticks);
    stats->virtual_bytes = (int64_t)virtual_bytes;
    stats->resident_bytes = (int64_t)(resident_pages * (uint64_t)page);
}

struct process_stats process_read(void)
{
    struct process_stats stats = {
        .cpu_us = cpu_us(),
        .resident_bytes = UNKNOWN,
        .virtual_bytes = UNKNOWN,
        .start_time = UNKNOWN,
        .open_fds = count_open_fds(),
        .max_fds = max_fds(),
    };
    read_stat(&stats);
    return stats;
}
