#ifndef TIDEMARK_ENCODE_LINE_H
#define TIDEMARK_ENCODE_LINE_H

#include "exporter/base/buf.h"
#include "exporter/base/column.h"
#include "exporter/metrics.h"

#include <stdint.h>

/*
 * Lines of the page, byte by byte. What many lines begin with (a metric's name and the labels that its
 * subject has) is built once, as a prefix, and copied. Both formats write samples alike.
 */

/* Where the samples of a metric go. Start with line_writer_make(), end with line_writer_free(). */
struct line_writer {
    struct buf prefix;     /* name and labels of the lines to come; owned */
    struct buf *out;       /* borrowed; NULL: lines are only counted */
    enum metric_unit unit; /* that values are given in */
    int64_t samples;       /* written or counted so far */
};

struct line_writer line_writer_make(void);
void line_writer_free(struct line_writer *writer);

/* Begins a prefix: the metric's name, without labels. */
void line_begin(struct line_writer *writer, struct str name);

/* Adds a label with its value, which may be any bytes. */
void line_label(struct line_writer *writer, struct str name, struct str value);

/* Adds a label whose value is a number that each line has its own of: for line_add_run(). */
void line_number_label(struct line_writer *writer, struct str name);

/* Takes labels back: the prefix ends again where it had that length, at the end of a label. */
void line_shorten(struct line_writer *writer, size_t length);

/* Writes a line: the prefix and value / unit, exactly, in decimal. */
void line_add(struct line_writer *writer, int64_t value);

/* Lines that differ in a number and in their value, all borrowed. */
struct line_run {
    struct column values; /* UNKNOWN: there is no line */
    const uint32_t
        *numbers; /* the value of the number label of each; NULL: `first` and those that follow it */
    uint32_t first;
    uint32_t count;
};

/* Writes lines after line_number_label(). */
void line_add_run(struct line_writer *writer, const struct line_run *run);

#endif
