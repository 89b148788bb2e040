#include "exporter/base/json_writer.h"

#include "exporter/base/utf8.h"

#include <inttypes.h>

static void separate(struct json_writer *json)
{
    if (json->comma)
        buf_add_char(json->out, ',');
    json->comma = true;
}

void json_put_open(struct json_writer *json, char bracket)
{
    separate(json);
    buf_add_char(json->out, bracket);
    json->comma = false;
}

void json_put_close(struct json_writer *json, char bracket)
{
    buf_add_char(json->out, bracket);
    json->comma = true;
}

void json_put_key(struct json_writer *json, const char *key)
{
    separate(json);
    buf_add_format(json->out, "\"%s\":", key);
    json->comma = false;
}

void json_quote(struct buf *out, struct str text)
{
    struct buf shown = buf_make(SIZE_MAX);
    utf8_add_shown(&shown, text);
    buf_add_char(out, '"');
    for (size_t i = 0; i < shown.length; i++) {
        unsigned char c = (unsigned char)shown.bytes[i];
        if (c == '"' || c == '\\')
            buf_add_char(out, '\\');
        if (c < 0x20 || c == 0x7f)
            buf_add_format(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
    out->failed |= shown.failed;
    buf_free(&shown);
}

void json_put_str(struct json_writer *json, struct str text)
{
    separate(json);
    json_quote(json->out, text);
}

void json_put_text(struct json_writer *json, const char *text)
{
    json_put_str(json, str_of(text));
}

void json_put_int(struct json_writer *json, int64_t value)
{
    separate(json);
    buf_add_int(json->out, value);
}

void json_put_null(struct json_writer *json)
{
    separate(json);
    buf_add_text(json->out, "null");
}

void json_put_bool(struct json_writer *json, bool value)
{
    separate(json);
    buf_add_text(json->out, value ? "true" : "false");
}

void json_put_seconds(struct json_writer *json, int64_t ms)
{
    separate(json);
    if (ms < 0) {
        buf_add_char(json->out, '-');
        ms = ms == INT64_MIN ? INT64_MAX : -ms;
    }
    buf_add_format(json->out, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

void json_put_real(struct json_writer *json, double value)
{
    separate(json);
    buf_add_format(json->out, "%.6g", value);
}
