#include "exporter/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char shown[4096];

static const char *text_of(struct buf *line)
{
    assert_true(buf_ok(line));
    assert_true(line->length < sizeof shown);
    if (line->length > 0)
        memcpy(shown, line->bytes, line->length);
    shown[line->length] = '\0';
    buf_free(line);
    return shown;
}

static const char *added(struct str text)
{
    struct buf line = buf_make(4096);
    terminal_add(&line, text);
    return text_of(&line);
}

static const char *cell(const char *text, size_t columns, bool right)
{
    struct buf line = buf_make(4096);
    terminal_add_cell(&line, str_of(text), columns, right);
    return text_of(&line);
}

/* A name has sequences that clear the screen, begin a line anew or turn the text around: they are seen, and
 * have no effect. What is harmless stays as it is. */
static void test_hostile(void **state)
{
    (void)state;
    assert_string_equal(added(STR_LITERAL("a\x1b[2J\r\n\tb\x7f")), "a\\x1b[2J\\x0d\\x0a\\x09b\\x7f");
    assert_string_equal(added(STR_LITERAL("\xc2\x9b"
                                          "31m")),
                        "\\u{009b}31m");
    assert_string_equal(added(STR_LITERAL("\xe2\x80\xae"
                                          "evil\xe2\x81\xa6")),
                        "\\u{202e}evil\\u{2066}");
    assert_string_equal(added(STR_LITERAL("Aufträge \xe6\xb3\xa8\xe6\x96\x87 \xf0\x9f\x90\xa2")),
                        "Aufträge \xe6\xb3\xa8\xe6\x96\x87 \xf0\x9f\x90\xa2");
}

/* Cells have the width that they should have, also with characters that take two columns or several bytes. */
static void test_cells(void **state)
{
    (void)state;
    assert_string_equal(cell("abc", 5, false), "abc  ");
    assert_string_equal(cell("abc", 5, true), "  abc");
    assert_string_equal(cell("abcdef", 5, false), "abcd…");
    assert_string_equal(cell("äöü", 4, false), "äöü ");
    assert_int_equal(terminal_columns(STR_LITERAL("\xe6\xb3\xa8\xe6\x96\x87")), 4);
    assert_string_equal(cell("\xe6\xb3\xa8\xe6\x96\x87", 4, false), "\xe6\xb3\xa8\xe6\x96\x87");
    assert_string_equal(cell("\xe6\xb3\xa8\xe6\x96\x87", 3, false), "\xe6\xb3\xa8…");
    assert_string_equal(cell("a\x1b", 5, false), "a\\x1b");
    assert_string_equal(cell("a\x1b"
                             "bcdef",
                             5, false),
                        "a\\x1…");
}

/* A sentence is broken between words; a word that is longer than a line stands alone. */
static void test_wrapped(void **state)
{
    (void)state;
    const struct terminal narrow = {.width = 12};
    struct buf line = buf_make(4096);
    terminal_add_wrapped(&line, &narrow, 2, STR_LITERAL("one two three fourteen-letters no"));
    assert_string_equal(text_of(&line), "  one two\n  three\n  fourteen-letters\n  no\n");
    const struct terminal endless = {.width = SIZE_MAX};
    line = buf_make(4096);
    terminal_add_wrapped(&line, &endless, 0, STR_LITERAL("one two three"));
    assert_string_equal(text_of(&line), "one two three\n");
}

/* Colours come only where they are wanted. */
static void test_colours(void **state)
{
    (void)state;
    const struct terminal plain = {.width = 80}, colourful = {.width = 80, .colour = true};
    struct buf line = buf_make(4096);
    terminal_begin(&line, &plain, COLOUR_RED);
    terminal_end(&line, &plain);
    assert_string_equal(text_of(&line), "");
    line = buf_make(4096);
    terminal_begin(&line, &colourful, COLOUR_RED);
    terminal_end(&line, &colourful);
    assert_string_equal(text_of(&line), "\033[31m\033[0m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_wrapped),
        cmocka_unit_test(test_colours),
    };
    return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
