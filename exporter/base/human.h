#ifndef TIDEMARK_BASE_HUMAN_H
#define TIDEMARK_BASE_HUMAN_H

#include "exporter/base/buf.h"

#include <stdint.h>

/* Numbers as a person wants to read them. */

/* "1d 4h", "3h 20m", "5m 12s", "12.3s": milliseconds, as exact as is of use. */
void human_add_duration(struct buf *out, int64_t ms);

/* "1,234,567". */
void human_add_count(struct buf *out, int64_t count);

/* "1,234 messages", "1 message": `noun` takes an s for its plural. */
void human_add_counted(struct buf *out, int64_t count, const char *noun);

/* "2026-11-24 09:30:05 UTC" of milliseconds since 1970. */
void human_add_time(struct buf *out, int64_t time);

#endif
