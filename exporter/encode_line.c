#include "exporter/encode_line.h"

#include "exporter/base/utf8.h"

#include <endian.h>

/* A million lines are written in a scrape of a large cluster, so many are written at once: room for all of
 * them is had first, and the prefix is copied in whole blocks, into room that is there and from memory that
 * is, beyond its end too. */
enum { PREFIX_LIMIT = 1 << 20, BLOCK = 32, LONGEST_NUMBER = 32, LONGEST_TAIL = 2 * LONGEST_NUMBER };

struct line_writer line_writer_make(void)
{
    return (struct line_writer){.prefix = buf_make(PREFIX_LIMIT), .unit = METRIC_UNIT_COUNT};
}

void line_writer_free(struct line_writer *writer)
{
    buf_free(&writer->prefix);
}

/* --- the prefix ---------------------------------------------------------------------------------------- */

void line_begin(struct line_writer *writer, const char *name)
{
    buf_reset(&writer->prefix);
    buf_add_text(&writer->prefix, name);
}

static bool needs_escape(struct str value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.bytes[i] == '\\' || value.bytes[i] == '"' || value.bytes[i] == '\n')
            return true;
    return false;
}

/* Label values are shown as UTF-8 first; then backslash, quote and newline are escaped, as the format wants.
 */
static void add_escaped(struct buf *buf, struct str value)
{
    if (utf8_plain_prefix(value) == value.length && !needs_escape(value)) {
        buf_add_str(buf, value);
        return;
    }
    struct buf shown = buf_make(PREFIX_LIMIT);
    utf8_add_shown(&shown, value);
    for (size_t i = 0; i < shown.length; i++) {
        char c = shown.bytes[i];
        if (c == '\\' || c == '"')
            buf_add_char(buf, '\\');
        if (c == '\n')
            buf_add_text(buf, "\\n");
        else
            buf_add_char(buf, c);
    }
    buf->failed |= shown.failed;
    buf_free(&shown);
}

/* Starts a label's value. Between labels the prefix ends as a line without further labels does, with "}". */
static void begin_label(struct buf *prefix, const char *name)
{
    bool first = prefix->length == 0 || prefix->bytes[prefix->length - 1] != '}';
    if (first)
        buf_add_char(prefix, '{');
    else
        prefix->bytes[prefix->length - 1] = ',';
    buf_add_text(prefix, name);
    buf_add_text(prefix, "=\"");
}

void line_label(struct line_writer *writer, const char *name, struct str value)
{
    begin_label(&writer->prefix, name);
    add_escaped(&writer->prefix, value);
    buf_add_text(&writer->prefix, "\"}");
}

void line_shorten(struct line_writer *writer, size_t length)
{
    writer->prefix.length = length;
    writer->prefix.bytes[length - 1] = '}'; /* a further label has put a comma there */
}

void line_number_label(struct line_writer *writer, const char *name)
{
    begin_label(&writer->prefix, name);
}

/* --- numbers ------------------------------------------------------------------------------------------- */

/* The decimal digits of a number below 10^8, one a byte and the first in the lowest: all of them at once, by
 * halving the number of digits that a lane of the word holds from 4 to 2 to 1. The factors are 1/100 and 1/10
 * in fixed point, exact for what a lane can hold. */
static inline uint64_t eight_digits(uint64_t number)
{
    uint64_t fours = number / 10000 | number % 10000 << 32;
    uint64_t hundreds = fours * 10486 >> 20 & 0x0000007f0000007f;
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = twos * 103 >> 10 & 0x000f000f000f000f;
    return tens | (twos - 10 * tens) << 8;
}

/* Writes all eight of them; `at` has room for them. */
static inline void put_eight(char *at, uint64_t digits)
{
    uint64_t text = htole64(digits | 0x3030303030303030);
    memcpy(at, &text, sizeof text);
}

/* Writes a number below 10^8. */
static inline char *put_short(char *at, uint64_t number)
{
    uint64_t digits = eight_digits(number);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | 1ull << 56) / 8;
    put_eight(at, digits >> 8 * zeros);
    return at + 8 - zeros;
}

static char *put_long(char *at, uint64_t number)
{
    at = number < 10000000000000000 ? put_short(at, number / 100000000) : put_long(at, number / 100000000);
    put_eight(at, eight_digits(number % 100000000));
    return at + 8;
}

/* Writes the number at `at`, which has room for 24 digits; returns its end. */
static inline char *put_digits(char *at, uint64_t number)
{
    return number < 100000000 ? put_short(at, number) : put_long(at, number);
}

/* Writes value / unit, with as few decimals as it needs. */
static inline char *put_quotient(char *at, uint64_t value, uint64_t unit)
{
    at = put_digits(at, value / unit);
    uint64_t fraction = value % unit;
    if (fraction == 0)
        return at;
    *at++ = '.';
    uint64_t digits = eight_digits(fraction * (100000000 / unit));
    put_eight(at, digits);
    return at + 8 - __builtin_clzll(digits) / 8;
}

/* Writes value / unit exactly, in decimal: no float ever touches a value. The units are spelt out, because
 * dividing by a constant is several times quicker. */
static inline char *put_value(char *at, int64_t value, enum metric_unit unit)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0)
        *at++ = '-';
    if (unit == METRIC_UNIT_COUNT)
        return put_digits(at, magnitude);
    if (unit == METRIC_UNIT_MILLISECONDS)
        return put_quotient(at, magnitude, METRIC_UNIT_MILLISECONDS);
    return put_quotient(at, magnitude, METRIC_UNIT_MICROSECONDS);
}

/* --- lines --------------------------------------------------------------------------------------------- */

/* Copies the prefix, in whole blocks; returns its end. */
static inline char *put_prefix(char *at, const char *prefix, size_t length)
{
    for (size_t done = 0; done < length; done += BLOCK)
        memcpy(at + done, prefix + done, BLOCK);
    return at + length;
}

static inline char *end_line(char *at, int64_t value, enum metric_unit unit)
{
    *at++ = ' ';
    at = put_value(at, value, unit);
    *at++ = '\n';
    return at;
}

/* Counts lines, and finds room for them; NULL when they aren't to be written, or there is none. */
static char *begin_lines(struct line_writer *writer, size_t count)
{
    writer->samples += (int64_t)count;
    if (writer->out == NULL || buf_room(&writer->prefix, BLOCK) == NULL)
        return NULL;
    return buf_room(writer->out, count * (writer->prefix.length + LONGEST_TAIL) + BLOCK);
}

static void end_lines(struct line_writer *writer, const char *end)
{
    buf_claim(writer->out, (size_t)(end - (writer->out->bytes + writer->out->length)));
}

void line_add(struct line_writer *writer, int64_t value)
{
    char *at = begin_lines(writer, 1);
    if (at == NULL)
        return;
    at = put_prefix(at, writer->prefix.bytes, writer->prefix.length);
    end_lines(writer, end_line(at, value, writer->unit));
}

void line_add_run(struct line_writer *writer, const struct numbered_value *values, size_t count)
{
    char *at = begin_lines(writer, count);
    if (at == NULL)
        return;
    const char *prefix = writer->prefix.bytes;
    size_t length = writer->prefix.length;
    enum metric_unit unit = writer->unit;
    for (size_t i = 0; i < count; i++) {
        at = put_prefix(at, prefix, length);
        at = put_digits(at, (uint64_t)values[i].number);
        *at++ = '"';
        *at++ = '}';
        at = end_line(at, values[i].value, unit);
    }
    end_lines(writer, at);
}
