#include "logstore/quote.h"

static const char MORE[] = "…\"";

const char *quote(struct str name, struct quoted *space)
{
    enum { LONGEST_STEP = 4 };
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    space->text[at++] = '"';
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.bytes[i];
        if (at + LONGEST_STEP + sizeof MORE > sizeof space->text) {
            memcpy(space->text + at, MORE, sizeof MORE);
            return space->text;
        }
        if (c < 0x20 || c >= 0x7f) {
            space->text[at++] = '\\';
            space->text[at++] = 'x';
            space->text[at++] = hex[c >> 4];
            space->text[at++] = hex[c & 15];
        } else {
            if (c == '"' || c == '\\')
                space->text[at++] = '\\';
            space->text[at++] = (char)c;
        }
    }
    space->text[at++] = '"';
    space->text[at] = '\0';
    return space->text;
}
