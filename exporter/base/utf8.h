#ifndef TIDEMARK_BASE_UTF8_H
#define TIDEMARK_BASE_UTF8_H

#include "exporter/base/buf.h"
#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names from a cluster are bytes; labels, JSON and HTML want UTF-8 (RFC 3629). Bytes that are no UTF-8, and
 * NUL, are shown as \xNN; so that this stays unambiguous, a backslash before an x is shown as \x5c. Two
 * different names therefore never look the same, and nearly all names look like themselves.
 */

/* Length of the longest prefix of `text` that shows as itself. */
size_t utf8_plain_prefix(struct str text);

/* Appends `text` as valid UTF-8 without NUL. */
void utf8_add_shown(struct buf *buf, struct str text);

/* The same for a terminal or a page: what is dangerous there is shown as \xNN or \u{NNNN}, too. */
void utf8_add_printable(struct buf *buf, struct str text);

/* The same of a text that is valid UTF-8 already. */
void utf8_add_harmless(struct buf *buf, struct str text);

/* The code point at the beginning of a text that is valid UTF-8 and not empty, and its length in bytes. */
uint32_t utf8_code_point(struct str text, size_t *length);

/* Controls, separators of lines, and what turns the direction of writing (https://trojansource.codes). */
bool utf8_is_dangerous(uint32_t code_point);

#endif
