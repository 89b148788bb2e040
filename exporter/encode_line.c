#include "exporter/encode_line.h"

#include "exporter/base/utf8.h"
#include "exporter/snapshot.h"

#include <string.h>

/* A million lines are written in a scrape of a large cluster, so many are written at once: room for all of
 * them is had first. */
enum { PREFIX_LIMIT = 1 << 20, LONGEST_NUMBER = 32, LONGEST_TAIL = 2 * LONGEST_NUMBER };

struct line_writer line_writer_make(void)
{
    return (struct line_writer){.prefix = buf_make(PREFIX_LIMIT), .unit = METRIC_UNIT_COUNT};
}

void line_writer_free(struct line_writer *writer)
{
    buf_free(&writer->prefix);
}

/* --- the prefix ---------------------------------------------------------------------------------------- */

void line_begin(struct line_writer *writer, struct str name)
{
    buf_reset(&writer->prefix);
    buf_add_str(&writer->prefix, name);
}

/* Whether the value is shown as it is: most are. */
static bool is_plain(struct str value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.bytes[i];
        if (c < ' ' || c > '~' || c == '\\' || c == '"')
            return false;
    }
    return true;
}

/* Label values are shown as UTF-8 first; then backslash, quote and newline are escaped, as the format wants.
 */
static void add_escaped(struct buf *buf, struct str value)
{
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

/* Whether the prefix has labels: then it ends where the value of the last one does. */
static bool has_labels(const struct buf *prefix)
{
    return prefix->length > 0 && prefix->bytes[prefix->length - 1] == '"';
}

/* Starts a label's value, for which there is room then, and for the quote that ends it. */
static void begin_label(struct buf *prefix, struct str name, size_t value_length)
{
    size_t length = name.length + strlen(",=\"");
    char *at = buf_room(prefix, length + value_length + strlen("\""));
    if (at == NULL)
        return;
    *at++ = has_labels(prefix) ? ',' : '{';
    memcpy(at, name.bytes, name.length);
    at += name.length;
    *at++ = '=';
    *at++ = '"';
    buf_claim(prefix, length);
}

void line_number_label(struct line_writer *writer, struct str name)
{
    begin_label(&writer->prefix, name, 0);
}

void line_label(struct line_writer *writer, struct str name, struct str value)
{
    struct buf *prefix = &writer->prefix;
    begin_label(prefix, name, value.length);
    if (is_plain(value))
        buf_add(prefix, value.bytes, value.length);
    else
        add_escaped(prefix, value);
    buf_add(prefix, "\"", 1);
}

void line_shorten(struct line_writer *writer, size_t length)
{
    writer->prefix.length = length;
}

/* --- numbers ------------------------------------------------------------------------------------------- */

/* Numbers are written three digits at a time, from a table: less work than to divide for each of them. */
struct three {
    char digits[3];
    uint8_t decimals; /* length of "." and the digits up to the last that isn't 0; 0 where all are 0 */
};

/* How a line goes on after the number of a partition: its digits, and what stands before the value. */
struct ending {
    char text[7];
    uint8_t length;
};

#define THREE(h, t, o)                                                                                       \
    {                                                                                                        \
        {'0' + (h), '0' + (t), '0' + (o)}, (o) > 0 ? 4 : (t) > 0 ? 3 : (h) > 0 ? 2 : 0                       \
    }
#define ENDING_1(h, t, o)                                                                                    \
    {                                                                                                        \
        {'0' + (o), '"', '}', ' '}, 4                                                                        \
    }
#define ENDING_2(h, t, o)                                                                                    \
    {                                                                                                        \
        {'0' + (t), '0' + (o), '"', '}', ' '}, 5                                                             \
    }
#define ENDING_3(h, t, o)                                                                                    \
    {                                                                                                        \
        {'0' + (h), '0' + (t), '0' + (o), '"', '}', ' '}, 6                                                  \
    }
#define TEN(ENTRY, h, t)                                                                                     \
    ENTRY(h, t, 0), ENTRY(h, t, 1), ENTRY(h, t, 2), ENTRY(h, t, 3), ENTRY(h, t, 4), ENTRY(h, t, 5),          \
        ENTRY(h, t, 6), ENTRY(h, t, 7), ENTRY(h, t, 8), ENTRY(h, t, 9)
#define HUNDRED(ENTRY, h)                                                                                    \
    TEN(ENTRY, h, 0), TEN(ENTRY, h, 1), TEN(ENTRY, h, 2), TEN(ENTRY, h, 3), TEN(ENTRY, h, 4),                \
        TEN(ENTRY, h, 5), TEN(ENTRY, h, 6), TEN(ENTRY, h, 7), TEN(ENTRY, h, 8), TEN(ENTRY, h, 9)
#define NINE_TENS(ENTRY)                                                                                     \
    TEN(ENTRY, 0, 1), TEN(ENTRY, 0, 2), TEN(ENTRY, 0, 3), TEN(ENTRY, 0, 4), TEN(ENTRY, 0, 5),                \
        TEN(ENTRY, 0, 6), TEN(ENTRY, 0, 7), TEN(ENTRY, 0, 8), TEN(ENTRY, 0, 9)
#define NINE_HUNDREDS(ENTRY)                                                                                 \
    HUNDRED(ENTRY, 1), HUNDRED(ENTRY, 2), HUNDRED(ENTRY, 3), HUNDRED(ENTRY, 4), HUNDRED(ENTRY, 5),           \
        HUNDRED(ENTRY, 6), HUNDRED(ENTRY, 7), HUNDRED(ENTRY, 8), HUNDRED(ENTRY, 9)
static const struct three threes[] = {HUNDRED(THREE, 0), NINE_HUNDREDS(THREE)};
static const struct ending endings[] = {TEN(ENDING_1, 0, 0), NINE_TENS(ENDING_2), NINE_HUNDREDS(ENDING_3)};
#undef THREE
#undef ENDING_1
#undef ENDING_2
#undef ENDING_3
#undef TEN
#undef HUNDRED
#undef NINE_TENS
#undef NINE_HUNDREDS

/* What follows writes, and claims, what a number needs, and may spoil a byte or two after it; `at` has room.
 * All return the end. */

/* The three digits of a number below 1000. */
static inline char *put_three(char *at, uint64_t number)
{
    memcpy(at, &threes[number], sizeof *threes);
    return at + 3;
}

/* A number below 1000 without zeros in front: the ending without what follows its digits. */
static inline char *put_short(char *at, uint64_t number)
{
    memcpy(at, &endings[number], sizeof *endings);
    return at + endings[number].length - strlen("\"} ");
}

static char *put_long(char *at, uint64_t number)
{
    at = number < 1000000 ? put_short(at, number / 1000) : put_long(at, number / 1000);
    return put_three(at, number % 1000);
}

/* Spelt out as far as most offsets go. */
static inline char *put_digits(char *at, uint64_t number)
{
    if (number >= 1000000000)
        return put_long(at, number);
    uint32_t rest = (uint32_t)number; /* which divides with less work */
    if (rest < 1000)
        return put_short(at, rest);
    if (rest < 1000000)
        return put_three(put_short(at, rest / 1000), rest % 1000);
    uint32_t thousands = rest / 1000;
    at = put_three(put_short(at, thousands / 1000), thousands % 1000);
    return put_three(at, rest % 1000);
}

/* "." and as many of the three digits as it needs; nothing for 0. */
static inline char *put_thousandths(char *at, uint64_t thousandths)
{
    *at = '.';
    put_three(at + 1, thousandths);
    return at + threes[thousandths].decimals;
}

static inline char *put_millionths(char *at, uint64_t millionths)
{
    uint64_t rest = millionths % 1000;
    char *end = put_thousandths(at, millionths / 1000);
    if (rest == 0)
        return end;
    put_three(at + 4, rest);
    return at + 3 + threes[rest].decimals;
}

/* Writes value / unit exactly, in decimal, with as few decimals as it needs: no float ever touches a value.
 */
static inline char *put_value(char *at, int64_t value, enum metric_unit unit)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0)
        *at++ = '-';
    if (unit == METRIC_UNIT_COUNT)
        return put_digits(at, magnitude);
    if (unit == METRIC_UNIT_MILLISECONDS)
        return put_thousandths(put_digits(at, magnitude / 1000), magnitude % 1000);
    return put_millionths(put_digits(at, magnitude / 1000000), magnitude % 1000000);
}

/* --- lines --------------------------------------------------------------------------------------------- */

static inline char *put_ending(char *at, uint32_t number)
{
    if (number < sizeof endings / sizeof *endings) {
        memcpy(at, &endings[number], sizeof *endings);
        return at + endings[number].length;
    }
    at = put_digits(at, number);
    *at++ = '"';
    *at++ = '}';
    *at++ = ' ';
    return at;
}

static inline char *end_line(char *at, int64_t value, enum metric_unit unit)
{
    at = put_value(at, value, unit);
    *at++ = '\n';
    return at;
}

/* Room for so many lines; NULL when they aren't to be written, or there is none. */
static inline char *begin_lines(struct line_writer *writer, size_t count)
{
    if (writer->out == NULL || !buf_ok(&writer->prefix))
        return NULL;
    return buf_room(writer->out, count * (writer->prefix.length + LONGEST_TAIL));
}

static inline void end_lines(struct line_writer *writer, const char *end)
{
    buf_claim(writer->out, (size_t)(end - (writer->out->bytes + writer->out->length)));
}

void line_add(struct line_writer *writer, int64_t value)
{
    const struct buf *prefix = &writer->prefix;
    char *at = begin_lines(writer, 1);
    writer->samples++;
    if (at == NULL)
        return;
    memcpy(at, prefix->bytes, prefix->length);
    at += prefix->length;
    if (has_labels(prefix))
        *at++ = '}';
    *at++ = ' ';
    end_lines(writer, end_line(at, value, writer->unit));
}

static int64_t count_known(const struct line_run *run)
{
    int64_t known = 0;
    for (uint32_t i = 0; i < run->count; i++)
        known += column_value(run->values, i) != UNKNOWN;
    return known;
}

/* Writes the lines at `at`, which has room, and counts them; returns their end. Inline, so that there is one
 * for each unit. */
static inline __attribute__((always_inline)) char *put_run(struct line_writer *writer, char *at,
                                                           const struct line_run *run, enum metric_unit unit)
{
    const struct line_run lines = *run; /* as `at` might point anywhere */
    const char *prefix = writer->prefix.bytes;
    size_t length = writer->prefix.length;
    int64_t known = 0;
    for (uint32_t i = 0; i < lines.count; i++) {
        int64_t value = column_value(lines.values, i);
        if (value == UNKNOWN)
            continue;
        memcpy(at, prefix, length);
        at = put_ending(at + length, lines.numbers != NULL ? lines.numbers[i] : lines.first + i);
        at = end_line(at, value, unit);
        known++;
    }
    writer->samples += known;
    return at;
}

static char *put_run_in_unit(struct line_writer *writer, char *at, const struct line_run *run)
{
    switch (writer->unit) {
    case METRIC_UNIT_COUNT:
        return put_run(writer, at, run, METRIC_UNIT_COUNT);
    case METRIC_UNIT_MILLISECONDS:
        return put_run(writer, at, run, METRIC_UNIT_MILLISECONDS);
    default:
        return put_run(writer, at, run, writer->unit);
    }
}

void line_add_run(struct line_writer *writer, const struct line_run *run)
{
    char *at = begin_lines(writer, run->count);
    if (at == NULL)
        writer->samples += count_known(run);
    else
        end_lines(writer, put_run_in_unit(writer, at, run));
}
