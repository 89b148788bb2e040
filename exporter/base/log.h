#ifndef TIDEMARK_BASE_LOG_H
#define TIDEMARK_BASE_LOG_H

#include "exporter/base/str.h"

#include <stdint.h>

/*
 * The daemon's log: one line an event on standard error, a fixed message and named fields, as logfmt or JSON.
 *
 *     log_event(LOG_LEVEL_WARN, "source is down", LOG_FIELDS(log_text("cluster", name), log_int("attempt",
 * n)));
 *
 * A line is one write(), so lines of several threads don't mix. What can't be written is dropped: there is
 * nowhere left to say so. Callers log changes, not states: nothing is said once a poll.
 */

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    const char *key;
    struct str text; /* used if bytes is not NULL, else the number */
    int64_t number;
};

/* logfmt until this is called. Any thread. */
void log_set_format(enum log_format format);

/* What is less grave isn't logged; LOG_LEVEL_INFO until this is called. Any thread. */
void log_set_level(enum log_level level);

static inline struct log_field log_str(const char *key, struct str value)
{
    return (struct log_field){.key = key, .text = value.bytes != NULL ? value : STR_LITERAL("")};
}

static inline struct log_field log_text(const char *key, const char *value)
{
    return log_str(key, str_of(value));
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .number = value};
}

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define LOG_NO_FIELDS   ((const struct log_field[]){{.key = NULL}})

/* `fields` ends with one whose key is NULL. Any thread. */
void log_event(enum log_level level, const char *message, const struct log_field *fields);

#endif
