#include "logstore/cli/progress.h"

#include "exporter/base/clock.h"
#include "exporter/base/number.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_US = 500 * 1000, PAUSE_US = 100 * 1000, WIDTH = 30 };

struct progress progress_begin(const char *noun, int64_t total)
{
    return (struct progress){
        .noun = noun,
        .total = total,
        .begun_us = clock_monotonic_us(),
        .is_watched = isatty(STDERR_FILENO) == 1,
    };
}

/* So much of the whole as of the total is done. */
static int in_proportion(int whole, int64_t done, int64_t total)
{
    return (int)((double)whole * (double)done / (double)total);
}

static void draw(struct progress *progress, int64_t now_us)
{
    char bar[WIDTH + 1];
    double seconds = (double)(now_us - progress->begun_us) / 1e6;
    double speed = seconds > 0 ? (double)progress->done / seconds : 0;
    if (progress->total > 0) {
        int64_t done = progress->done < progress->total ? progress->done : progress->total;
        size_t filled = (size_t)in_proportion(WIDTH, done, progress->total);
        memset(bar, '#', filled);
        memset(bar + filled, '.', WIDTH - filled);
        bar[WIDTH] = '\0';
        fprintf(stderr, "\r[%s] %3d %%  %lld %s, %.0f/s\033[K", bar,
                in_proportion(100, done, progress->total), (long long)progress->done, progress->noun, speed);
    } else {
        fprintf(stderr, "\r%lld %s, %.0f/s\033[K", (long long)progress->done, progress->noun, speed);
    }
    fflush(stderr);
    progress->drawn_us = now_us;
    progress->is_drawn = true;
}

void progress_add(struct progress *progress, int64_t done)
{
    progress->done = number_add(progress->done, done);
    if (!progress->is_watched)
        return;
    int64_t now_us = clock_monotonic_us();
    if (now_us - progress->begun_us >= PATIENCE_US && now_us - progress->drawn_us >= PAUSE_US)
        draw(progress, now_us);
}

void progress_end(struct progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}
