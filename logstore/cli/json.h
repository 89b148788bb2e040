#ifndef LOGSTORE_CLI_JSON_H
#define LOGSTORE_CLI_JSON_H

#include "logstore/logstore.h"

#include "exporter/base/buf.h"

/*
 * Records as JSON lines (RFC 8259):
 *
 *     {"partition":0,"offset":7,"timestamp":1764000000000,"key":"k","value":"v","headers":{"a":"b"}}
 *
 * JSON is UTF-8 and records are any bytes, so bytes that are no UTF-8, and NUL, are written as \xNN within
 * the string, and a backslash before an x as \x5c; reading turns them back. A key, value or header that isn't
 * there is null.
 */

enum { JSON_LINE_MOST = 1 << 30 };

/* The name as people see it, on one line. */
void json_add_shown(struct buf *line, struct str name);

/* The string in quotes; null when text.bytes is NULL. */
void json_add_string(struct buf *line, struct str text);

/* One record, with a newline. */
void json_add_record(struct buf *line, uint32_t partition, const struct logstore_record *record);

/* A record that was read from a line; what it points to belongs to `bytes` and `headers`. */
struct json_record {
    struct logstore_record record;
    int64_t partition; /* -1: none given */
    struct buf bytes;
    struct logstore_header *headers; /* owned */
};

/* Reads a line; unknown members are ignored. ERROR_USAGE says at which column something is wrong. Free it,
 * after a failure too. */
bool json_read_record(struct str line, struct json_record *read, struct error *error);
void json_record_free(struct json_record *read);

#endif
