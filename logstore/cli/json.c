#include "logstore/cli/json.h"

#include "exporter/base/utf8.h"

#include <stdlib.h>

/* --- writing ---------------------------------------------------------------------------------------------
 */

void json_add_shown(struct buf *line, struct str name)
{
    size_t start = line->length;
    utf8_add_shown(line, name);
    for (size_t i = start; i < line->length; i++) /* a name must not break the table */
        if ((unsigned char)line->bytes[i] < 0x20)
            line->bytes[i] = '?';
}

static void add_escaped(struct buf *line, struct str shown)
{
    for (size_t i = 0; i < shown.length; i++) {
        unsigned char c = (unsigned char)shown.bytes[i];
        if (c == '"' || c == '\\') {
            buf_add_char(line, '\\');
            buf_add_char(line, (char)c);
        } else if (c < 0x20) {
            buf_add_format(line, "\\u%04x", c);
        } else {
            buf_add_char(line, (char)c);
        }
    }
}

void json_add_string(struct buf *line, struct str text)
{
    if (text.bytes == NULL) {
        buf_add_text(line, "null");
        return;
    }
    struct buf shown = buf_make(JSON_LINE_MOST);
    utf8_add_shown(&shown, text);
    buf_add_char(line, '"');
    add_escaped(line, buf_str(&shown));
    buf_add_char(line, '"');
    line->failed = line->failed || !buf_ok(&shown);
    buf_free(&shown);
}

void json_add_record(struct buf *line, uint32_t partition, const struct logstore_record *record)
{
    buf_add_format(line, "{\"partition\":%u,\"offset\":%lld,\"timestamp\":%lld,\"key\":", partition,
                   (long long)record->offset, (long long)record->timestamp);
    json_add_string(line, record->key);
    buf_add_text(line, ",\"value\":");
    json_add_string(line, record->value);
    if (record->header_count > 0)
        buf_add_text(line, ",\"headers\":{");
    for (size_t i = 0; i < record->header_count; i++) {
        if (i > 0)
            buf_add_char(line, ',');
        json_add_string(line, record->headers[i].name);
        buf_add_char(line, ':');
        json_add_string(line, record->headers[i].value);
    }
    buf_add_text(line, record->header_count > 0 ? "}}\n" : "}\n");
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

/* The strings of a record are gathered in one buffer, which moves as it grows; so until the end they are
 * places in it. */
struct place {
    size_t start, length;
    bool present;
};

struct parser {
    const char *start, *at, *end;
    struct buf *bytes;
    bool failed;
};

enum { DEPTH_MOST = 32 };

static bool is_one_of(const char *set, char c)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->end && is_one_of(" \t\r\n", *parser->at))
        parser->at++;
}

static bool accept(struct parser *parser, char c)
{
    skip_space(parser);
    if (parser->failed || parser->at == parser->end || *parser->at != c)
        return false;
    parser->at++;
    return true;
}

static void expect(struct parser *parser, char c)
{
    if (!accept(parser, c))
        parser->failed = true;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return found == NULL ? -1 : (int)(found - digits);
}

/* `count` hexadecimal digits; -1: there aren't. */
static long take_hex(struct parser *parser, int count)
{
    long value = 0;
    for (int i = 0; i < count; i++) {
        int digit = parser->at < parser->end ? hex_digit(*parser->at) : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
        parser->at++;
    }
    return value;
}

static void add_code_point(struct buf *bytes, unsigned long code)
{
    if (code < 0x80) {
        buf_add_char(bytes, (char)code);
    } else if (code < 0x800) {
        buf_add_char(bytes, (char)(0xc0 | code >> 6));
        buf_add_char(bytes, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        buf_add_char(bytes, (char)(0xe0 | code >> 12));
        buf_add_char(bytes, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_add_char(bytes, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_add_char(bytes, (char)(0xf0 | code >> 18));
        buf_add_char(bytes, (char)(0x80 | (code >> 12 & 0x3f)));
        buf_add_char(bytes, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_add_char(bytes, (char)(0x80 | (code & 0x3f)));
    }
}

/* After "\u": a code point, from two of them where it is a pair of surrogates. */
static void take_unicode(struct parser *parser)
{
    long high = take_hex(parser, 4), low = 0;
    if (high >= 0xd800 && high < 0xdc00) {
        if (parser->end - parser->at >= 2 && parser->at[0] == '\\' && parser->at[1] == 'u') {
            parser->at += 2;
            low = take_hex(parser, 4);
        }
        high = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00) : -1;
    } else if (high >= 0xdc00 && high < 0xe000) {
        high = -1;
    }
    if (high < 0)
        parser->failed = true;
    else
        add_code_point(parser->bytes, (unsigned long)high);
}

/* After a backslash of JSON. A backslash that is followed by xNN stands for a byte. */
static void take_escape(struct parser *parser)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (parser->at == parser->end) {
        parser->failed = true;
        return;
    }
    char c = *parser->at++;
    const char *found = c == '\0' ? NULL : strchr(FROM, c);
    if (c == 'u')
        take_unicode(parser);
    else if (found == NULL)
        parser->failed = true;
    else if (c == '\\' && parser->end - parser->at >= 3 && parser->at[0] == 'x' &&
             hex_digit(parser->at[1]) >= 0 && hex_digit(parser->at[2]) >= 0) {
        parser->at++;
        buf_add_char(parser->bytes, (char)take_hex(parser, 2));
    } else {
        buf_add_char(parser->bytes, TO[found - FROM]);
    }
}

static struct place take_string(struct parser *parser)
{
    struct place place = {parser->bytes->length, 0, true};
    expect(parser, '"');
    while (!parser->failed) {
        if (parser->at == parser->end || (unsigned char)*parser->at < 0x20) {
            parser->failed = true;
            break;
        }
        char c = *parser->at++;
        if (c == '"')
            break;
        if (c == '\\')
            take_escape(parser);
        else
            buf_add_char(parser->bytes, c);
    }
    place.length = parser->bytes->length - place.start;
    return place;
}

static bool take_word(struct parser *parser, const char *word)
{
    skip_space(parser);
    size_t length = strlen(word);
    if ((size_t)(parser->end - parser->at) < length || memcmp(parser->at, word, length) != 0)
        return false;
    parser->at += length;
    return true;
}

static struct place take_optional_string(struct parser *parser)
{
    return take_word(parser, "null") ? (struct place){0} : take_string(parser);
}

static int64_t take_number(struct parser *parser)
{
    char digits[24] = {0};
    size_t length = 0;
    skip_space(parser);
    while (parser->at < parser->end && length < sizeof digits - 1 && is_one_of("-0123456789", *parser->at))
        digits[length++] = *parser->at++;
    char *end;
    long long value = strtoll(digits, &end, 10);
    if (length == 0 || *end != '\0')
        parser->failed = true;
    return value;
}

/* A value that nobody asked for. */
static void skip_value(struct parser *parser, int depth)
{
    skip_space(parser);
    if (depth > DEPTH_MOST || parser->at == parser->end) {
        parser->failed = true;
    } else if (*parser->at == '"') {
        take_string(parser);
    } else if (*parser->at == '{' || *parser->at == '[') {
        char close = *parser->at++ == '{' ? '}' : ']';
        if (accept(parser, close))
            return;
        do {
            if (close == '}') {
                take_string(parser);
                expect(parser, ':');
            }
            if (!parser->failed)
                skip_value(parser, depth + 1);
        } while (accept(parser, ','));
        expect(parser, close);
    } else if (!take_word(parser, "null") && !take_word(parser, "true") && !take_word(parser, "false")) {
        const char *start = parser->at;
        while (parser->at < parser->end && is_one_of("+-.eE0123456789", *parser->at))
            parser->at++;
        parser->failed = parser->at == start;
    }
}

struct places {
    struct place key, value;
    struct place *headers; /* owned; name and value in turn */
    size_t header_count;
};

static void take_headers(struct parser *parser, struct places *places)
{
    expect(parser, '{');
    if (accept(parser, '}'))
        return;
    do {
        struct place *headers = realloc(places->headers, (places->header_count + 1) * 2 * sizeof *headers);
        if (headers == NULL) {
            parser->bytes->failed = true;
            return;
        }
        places->headers = headers;
        headers[2 * places->header_count] = take_string(parser);
        expect(parser, ':');
        headers[2 * places->header_count++ + 1] = take_optional_string(parser);
    } while (accept(parser, ','));
    expect(parser, '}');
}

static void take_member(struct parser *parser, struct json_record *read, struct places *places)
{
    struct place place = take_string(parser);
    struct buf *bytes = parser->bytes;
    struct str name = {buf_ok(bytes) && place.length > 0 ? bytes->bytes + place.start : "", place.length};
    expect(parser, ':');
    if (parser->failed)
        return;
    if (str_equal(name, STR_LITERAL("key")))
        places->key = take_optional_string(parser);
    else if (str_equal(name, STR_LITERAL("value")))
        places->value = take_optional_string(parser);
    else if (str_equal(name, STR_LITERAL("headers")))
        take_headers(parser, places);
    else if (str_equal(name, STR_LITERAL("timestamp")))
        read->record.timestamp = take_number(parser);
    else if (str_equal(name, STR_LITERAL("partition")))
        read->partition = take_number(parser);
    else
        skip_value(parser, 0);
}

static struct str str_at(const struct json_record *read, struct place place)
{
    if (!place.present)
        return (struct str){NULL, 0};
    return place.length == 0 ? STR_LITERAL("") : (struct str){read->bytes.bytes + place.start, place.length};
}

static bool fill_in(struct json_record *read, const struct places *places)
{
    read->headers = calloc(places->header_count + 1, sizeof *read->headers);
    if (read->headers == NULL)
        return false;
    for (size_t i = 0; i < places->header_count; i++)
        read->headers[i] = (struct logstore_header){str_at(read, places->headers[2 * i]),
                                                    str_at(read, places->headers[2 * i + 1])};
    read->record.key = str_at(read, places->key);
    read->record.value = str_at(read, places->value);
    read->record.headers = read->headers;
    read->record.header_count = places->header_count;
    return true;
}

bool json_read_record(struct str line, struct json_record *read, struct error *error)
{
    struct places places = {0};
    *read = (struct json_record){.partition = -1, .bytes = buf_make(JSON_LINE_MOST)};
    struct parser parser = {line.bytes, line.bytes, line.bytes + line.length, &read->bytes, false};
    expect(&parser, '{');
    if (!accept(&parser, '}')) {
        do
            take_member(&parser, read, &places);
        while (accept(&parser, ','));
        expect(&parser, '}');
    }
    skip_space(&parser);
    bool sound = !parser.failed && parser.at == parser.end, enough = buf_ok(&read->bytes);
    if (!sound)
        error_set(error, ERROR_USAGE, "no JSON object of a record, at column %zu",
                  (size_t)(parser.at - parser.start) + 1);
    else if (!enough || !fill_in(read, &places)) {
        error_set(error, ERROR_MEMORY, "no memory for a record");
        enough = false;
    }
    free(places.headers);
    return sound && enough;
}

void json_record_free(struct json_record *read)
{
    buf_free(&read->bytes);
    free(read->headers);
    *read = (struct json_record){.bytes = read->bytes};
}
