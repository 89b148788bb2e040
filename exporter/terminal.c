#include "exporter/terminal.h"

#include "exporter/base/utf8.h"

#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { NARROWEST = 40, CELL_LIMIT = 1 << 20 };

struct terminal terminal_of(FILE *out)
{
    struct terminal terminal = {.width = SIZE_MAX};
    struct winsize size;
    const char *columns = getenv("COLUMNS"), *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    int fd = fileno(out);
    if (isatty(fd)) {
        terminal.width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
        terminal.colour =
            (no_colour == NULL || *no_colour == '\0') && (kind == NULL || strcmp(kind, "dumb") != 0);
    }
    long wanted = columns != NULL ? strtol(columns, NULL, 10) : 0;
    if (wanted > 0)
        terminal.width = (size_t)wanted;
    if (terminal.width < NARROWEST)
        terminal.width = NARROWEST;
    return terminal;
}

void terminal_add(struct buf *line, struct str text)
{
    utf8_add_harmless(line, text);
}

static size_t columns_of(uint32_t c)
{
    static bool ready;
    if (!ready) /* wcwidth() knows characters only in a locale that has them */
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    ready = true;
    int columns = wcwidth((wchar_t)c);
    return columns < 0 ? 1 : (size_t)columns;
}

size_t terminal_columns(struct str text)
{
    struct buf safe = buf_make(CELL_LIMIT);
    size_t columns = 0, length;
    terminal_add(&safe, text);
    for (size_t i = 0; i < safe.length; i += length)
        columns += columns_of(utf8_code_point((struct str){safe.bytes + i, safe.length - i}, &length));
    buf_free(&safe);
    return columns;
}

static void add_spaces(struct buf *line, size_t count)
{
    while (count-- > 0)
        buf_add_char(line, ' ');
}

void terminal_add_cell(struct buf *line, struct str text, size_t columns, bool right)
{
    struct buf safe = buf_make(CELL_LIMIT);
    size_t needed = terminal_columns(text), used = 0, length;
    terminal_add(&safe, text);
    if (right && needed < columns)
        add_spaces(line, columns - needed);
    for (size_t i = 0; i < safe.length; i += length) {
        size_t wide = columns_of(utf8_code_point((struct str){safe.bytes + i, safe.length - i}, &length));
        if (needed > columns && used + wide + 1 > columns) {
            buf_add_text(line, "…");
            used++;
            break;
        }
        buf_add(line, safe.bytes + i, length);
        used += wide;
    }
    if (!right && used < columns)
        add_spaces(line, columns - used);
    line->failed |= safe.failed;
    buf_free(&safe);
}

void terminal_add_wrapped(struct buf *line, const struct terminal *terminal, size_t indent, struct str text)
{
    size_t at = 0, used = 0;
    while (at < text.length) {
        const char *space = memchr(text.bytes + at, ' ', text.length - at);
        size_t end = space != NULL ? (size_t)(space - text.bytes) : text.length;
        struct str word = {text.bytes + at, end - at};
        size_t columns = terminal_columns(word);
        if (used > 0 && used + 1 + columns > terminal->width - indent) {
            buf_add_char(line, '\n');
            used = 0;
        }
        if (used == 0)
            add_spaces(line, indent);
        else
            buf_add_char(line, ' ');
        used += columns + (used > 0);
        terminal_add(line, word);
        at = end + 1;
    }
    buf_add_char(line, '\n');
}

void terminal_begin(struct buf *line, const struct terminal *terminal, enum colour colour)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "",    [COLOUR_RED] = "31",  [COLOUR_YELLOW] = "33",
        [COLOUR_GREEN] = "32", [COLOUR_BLUE] = "36", [COLOUR_BOLD] = "1",
    };
    if (terminal->colour && colour != COLOUR_NONE)
        buf_add_format(line, "\033[%sm", codes[colour]);
}

void terminal_end(struct buf *line, const struct terminal *terminal)
{
    if (terminal->colour)
        buf_add_text(line, "\033[0m");
}
