#include "exporter/base/log.h"

#include "exporter/base/buf.h"
#include "exporter/base/clock.h"
#include "exporter/base/utf8.h"

#include <stdbool.h>
#include <time.h>
#include <unistd.h>

enum { LINE_LIMIT = 256 * 1024 };

static _Atomic(enum log_format) log_format = LOG_FORMAT_LOGFMT;

static _Atomic(enum log_level) least_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

void log_set_format(enum log_format format)
{
    log_format = format;
}

void log_set_level(enum log_level level)
{
    least_level = level;
}

/* RFC 3339, UTC, with milliseconds. */
static void add_time(struct buf *line, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL)
        return;
    buf_add_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                   utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(now_ms % 1000));
}

/* A JSON string (RFC 8259 section 7), which logfmt reads as well. */
static void add_quoted(struct buf *line, struct str text)
{
    struct buf shown = buf_make(LINE_LIMIT);
    utf8_add_shown(&shown, text);
    buf_add_char(line, '"');
    for (size_t i = 0; i < shown.length; i++) {
        unsigned char c = (unsigned char)shown.bytes[i];
        if (c == '"' || c == '\\')
            buf_add_char(line, '\\');
        if (c == '\n')
            buf_add_text(line, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_add_format(line, "\\u%04x", c);
        else
            buf_add_char(line, (char)c);
    }
    buf_add_char(line, '"');
    buf_free(&shown);
}

static bool needs_quotes(struct str text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return true;
    }
    return text.length == 0;
}

static void add_field(struct buf *line, const struct log_field *field)
{
    bool json = log_format == LOG_FORMAT_JSON;
    buf_add_text(line, json ? ",\"" : " ");
    buf_add_text(line, field->key);
    buf_add_text(line, json ? "\":" : "=");
    if (field->text.bytes == NULL)
        buf_add_int(line, field->number);
    else if (json || needs_quotes(field->text))
        add_quoted(line, field->text);
    else
        buf_add_str(line, field->text);
}

void log_event(enum log_level level, const char *message, const struct log_field *fields)
{
    if (level < least_level)
        return;
    bool json = log_format == LOG_FORMAT_JSON;
    struct buf line = buf_make(LINE_LIMIT);
    buf_add_text(&line, json ? "{\"time\":\"" : "time=");
    add_time(&line, clock_wall_ms());
    buf_add_text(&line, json ? "\"" : "");
    add_field(&line, &(struct log_field){.key = "level", .text = str_of(level_names[level])});
    add_field(&line, &(struct log_field){.key = "msg", .text = str_of(message)});
    for (; fields->key != NULL; fields++)
        add_field(&line, fields);
    buf_add_text(&line, json ? "}\n" : "\n");
    if (buf_ok(&line)) {
        ssize_t written = write(STDERR_FILENO, line.bytes, line.length);
        (void)written;
    }
    buf_free(&line);
}
