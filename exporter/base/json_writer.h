#ifndef TIDEMARK_BASE_JSON_WRITER_H
#define TIDEMARK_BASE_JSON_WRITER_H

#include "exporter/base/buf.h"
#include "exporter/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Writes JSON (RFC 8259) into a buffer and sets the commas. Inside an object each value follows
 * json_put_key(). Whether everything found its place is asked of the buffer at the end.
 */
struct json_writer {
    struct buf *out;
    bool comma; /* the next key or element needs one before it */
};

void json_put_open(struct json_writer *json, char bracket);
void json_put_close(struct json_writer *json, char bracket);

/* `key` is plain ASCII that needs no escaping. */
void json_put_key(struct json_writer *json, const char *key);

/* A string: bytes that are no UTF-8 are written as they are shown everywhere (utf8.h). */
void json_put_str(struct json_writer *json, struct str text);
void json_put_text(struct json_writer *json, const char *text);

void json_put_int(struct json_writer *json, int64_t value);
void json_put_null(struct json_writer *json);
void json_put_bool(struct json_writer *json, bool value);

/* A number of milliseconds as seconds with three decimals. */
void json_put_seconds(struct json_writer *json, int64_t ms);

/* A number that is finite, with as many digits as a person reads. */
void json_put_real(struct json_writer *json, double value);

/* Appends only a string's text, quoted and escaped, where no writer is needed. */
void json_quote(struct buf *out, struct str text);

#endif
