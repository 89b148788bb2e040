#include "exporter/base/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void human_add_duration(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 60 * 1000)
        buf_add_format(out, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (s < 3600)
        buf_add_format(out, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
    else if (s < 24 * 3600)
        buf_add_format(out, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
    else
        buf_add_format(out, "%" PRId64 "d %" PRId64 "h", s / (24 * 3600), s % (24 * 3600) / 3600);
}

void human_add_count(struct buf *out, int64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < length; i++) {
        bool behind_digit = i > 0 && digits[i - 1] != '-';
        if (behind_digit && (length - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, digits[i]);
    }
}

void human_add_counted(struct buf *out, int64_t count, const char *noun)
{
    human_add_count(out, count);
    buf_add_format(out, " %s%s", noun, count == 1 ? "" : "s");
}

void human_add_time(struct buf *out, int64_t time)
{
    time_t seconds = (time_t)(time / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL)
        return;
    buf_add_format(out, "%04d-%02d-%02d %02d:%02d:%02d UTC", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                   utc.tm_hour, utc.tm_min, utc.tm_sec);
}
