#ifndef TIDEMARK_TERMINAL_H
#define TIDEMARK_TERMINAL_H

#include "exporter/base/buf.h"
#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Text for people, on a terminal or not. Names come from a cluster: nothing in them may move the cursor,
 * colour what follows or turn its direction. One thread.
 */
struct terminal {
    size_t width; /* columns; SIZE_MAX where lines may be of any length */
    bool colour;
};

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_YELLOW, COLOUR_GREEN, COLOUR_BLUE, COLOUR_BOLD };

/* What `out` is: colour only on a terminal, and not if the environment has NO_COLOR (https://no-color.org).
 */
struct terminal terminal_of(FILE *out);

/* Appends valid UTF-8 with its control characters, and those that turn the direction of text, as \xNN or
 * \u{NNNN}. */
void terminal_add(struct buf *line, struct str text);

/* Columns that such a text takes. */
size_t terminal_columns(struct str text);

/* Appends the text padded to `columns`, or cut with an ellipsis where it is longer. To the right: padded on
 * its left side. */
void terminal_add_cell(struct buf *line, struct str text, size_t columns, bool right);

/* Appends the text, broken between words into lines of the terminal's width, each indented by so many spaces;
 * ends with a newline. */
void terminal_add_wrapped(struct buf *line, const struct terminal *terminal, size_t indent, struct str text);

/* Begins and ends a colour; nothing where there are none. */
void terminal_begin(struct buf *line, const struct terminal *terminal, enum colour colour);
void terminal_end(struct buf *line, const struct terminal *terminal);

#endif
