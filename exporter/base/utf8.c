#include "exporter/base/utf8.h"

#include <inttypes.h>

/* Length of the well-formed sequence at `bytes` (RFC 3629 section 4), 0 if there is none. */
static size_t sequence_length(const unsigned char *bytes, size_t available)
{
    unsigned char lead = bytes[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                    : (lead & 0xf0) == 0xe0        ? 3
                    : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || length > available)
        return 0;
    /* The second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static size_t shown_as_itself(const unsigned char *bytes, size_t available)
{
    if (bytes[0] == '\0' || (bytes[0] == '\\' && available > 1 && bytes[1] == 'x'))
        return 0;
    return sequence_length(bytes, available);
}

size_t utf8_plain_prefix(struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.bytes;
    size_t i = 0;
    while (i < text.length) {
        size_t length = shown_as_itself(bytes + i, text.length - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

void utf8_add_shown(struct buf *buf, struct str text)
{
    for (;;) {
        size_t plain = utf8_plain_prefix(text);
        buf_add(buf, text.bytes, plain);
        if (plain == text.length)
            return;
        static const char digits[] = "0123456789abcdef";
        unsigned char byte = (unsigned char)text.bytes[plain];
        const char shown[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        buf_add(buf, shown, sizeof shown);
        text.bytes += plain + 1;
        text.length -= plain + 1;
    }
}

uint32_t utf8_code_point(struct str text, size_t *length)
{
    const unsigned char *b = (const unsigned char *)text.bytes;
    *length = b[0] < 0x80 ? 1 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (*length > text.length)
        *length = 1;
    uint32_t c = *length == 1 ? b[0] : b[0] & (0xffu >> (*length + 1));
    for (size_t i = 1; i < *length; i++)
        c = c << 6 | (b[i] & 0x3f);
    return c;
}

bool utf8_is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void utf8_add_harmless(struct buf *buf, struct str text)
{
    size_t length;
    for (size_t i = 0; i < text.length; i += length) {
        uint32_t c = utf8_code_point((struct str){text.bytes + i, text.length - i}, &length);
        if (!utf8_is_dangerous(c))
            buf_add(buf, text.bytes + i, length);
        else if (c < 0x80)
            buf_add_format(buf, "\\x%02" PRIx32, c);
        else
            buf_add_format(buf, "\\u{%04" PRIx32 "}", c);
    }
}

void utf8_add_printable(struct buf *buf, struct str text)
{
    struct buf shown = buf_make(SIZE_MAX);
    utf8_add_shown(&shown, text);
    utf8_add_harmless(buf, buf_str(&shown));
    buf_free(&shown);
}
