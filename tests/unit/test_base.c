#include "exporter/base/buf.h"
#include "exporter/base/duration.h"
#include "exporter/base/error.h"
#include "exporter/base/pattern.h"
#include "exporter/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#define assert_shows(buf, text)                                                                              \
    do {                                                                                                     \
        assert_int_equal((buf)->length, strlen(text));                                                       \
        assert_memory_equal((buf)->bytes, text, strlen(text));                                               \
    } while (0)

/* An error passes three layers: its text reads from the outside in, and the code stays. */
static void test_error_is_wrapped(void **state)
{
    (void)state;
    struct error error = {0};
    error_set_errno(&error, ERROR_IO, ENOSPC, "write %s", "0.log");
    error_wrap(&error, "topic \"%s\"", "orders");
    error_wrap(&error, "append");
    assert_string_equal(error_text(&error), "append: topic \"orders\": write 0.log: No space left on device");
    assert_int_equal(error.code, ERROR_IO);
    error_clear(&error);
    assert_string_equal(error_text(&error), "no error");
}

/* An error replaces an earlier one, whose text is freed. */
static void test_error_is_replaced(void **state)
{
    (void)state;
    struct error error = {0};
    error_set(&error, ERROR_IO, "first");
    error_set(&error, ERROR_USAGE, "second");
    assert_string_equal(error_text(&error), "second");
    assert_int_equal(error.code, ERROR_USAGE);
    error_clear(&error);
}

/* Integers at both ends of their range are exact. */
static void test_buf_integers(void **state)
{
    (void)state;
    struct buf buf = buf_make(1000);
    buf_add_int(&buf, INT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_int(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_int(&buf, 0);
    assert_true(buf_ok(&buf));
    assert_shows(&buf, "9223372036854775807 -9223372036854775808 0");
    buf_free(&buf);
}

/* A buffer reaches its limit: it takes exactly that many bytes, and the failure stays until it is reset. */
static void test_buf_limit(void **state)
{
    (void)state;
    struct buf buf = buf_make(5);
    buf_add_text(&buf, "12345");
    assert_true(buf_ok(&buf));
    buf_add_text(&buf, "6");
    assert_false(buf_ok(&buf));
    buf_add_text(&buf, "");
    assert_null(buf_room(&buf, 0));
    assert_shows(&buf, "12345");
    buf_reset(&buf);
    buf_add_format(&buf, "%d", 42);
    assert_true(buf_ok(&buf));
    assert_shows(&buf, "42");
    buf_free(&buf);
}

static void assert_shown_as(const char *bytes, size_t length, const char *expected)
{
    struct buf buf = buf_make(1000);
    utf8_add_shown(&buf, (struct str){bytes, length});
    assert_true(buf_ok(&buf));
    assert_shows(&buf, expected);
    buf_free(&buf);
}

/* A name is well-formed UTF-8: it shows as itself, the ends of each range of lengths included. */
static void test_utf8_well_formed(void **state)
{
    (void)state;
    static const char *const names[] = {
        "orders",           "a\"b\\c\n\t",      "caf\xc3\xa9",      "\xc2\x80\xdf\xbf",
        "\xe0\xa0\x80",     "\xed\x9f\xbf",     "\xee\x80\x80",     "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xf0\x9f\x8c\x8a",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_shown_as(names[i], strlen(names[i]), names[i]);
}

/* A name holds bytes that are no UTF-8: each is shown in hexadecimal, what is around it as itself. */
static void test_utf8_malformed(void **state)
{
    (void)state;
    assert_shown_as("a\xff"
                    "b",
                    3, "a\\xffb");
    assert_shown_as("\x80", 1, "\\x80");                            /* a continuation alone */
    assert_shown_as("\xc3", 1, "\\xc3");                            /* cut off */
    assert_shown_as("\xe2\x82", 2, "\\xe2\\x82");                   /* cut off later */
    assert_shown_as("\xc0\xaf", 2, "\\xc0\\xaf");                   /* overlong */
    assert_shown_as("\xe0\x9f\xbf", 3, "\\xe0\\x9f\\xbf");          /* overlong */
    assert_shown_as("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* a surrogate */
    assert_shown_as("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
    assert_shown_as("\xf5", 1, "\\xf5");
    assert_shown_as("a\0b", 3, "a\\x00b");
    assert_shown_as("", 0, "");
}

/* A name looks like the shown form of another: the two are shown differently. */
/* What would move a cursor, break a line or turn the direction of writing is named; the rest stays. */
static void test_utf8_printable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printable;
    } cases[] = {
        {"orders-1 \xc3\xa4 \xe6\xb6\x88 \xf0\x9f\x90\x9f",
         "orders-1 \xc3\xa4 \xe6\xb6\x88 \xf0\x9f\x90\x9f"},
        {"a\x1b[2J\n\x7f", "a\\x1b[2J\\x0a\\x7f"},
        {"\xc2\x9b"
         "2J",
         "\\u{009b}2J"},
        {"evil\xe2\x80\xaegnp.exe", "evil\\u{202e}gnp.exe"},
        {"\xe2\x81\xa6x\xef\xbb\xbf", "\\u{2066}x\\u{feff}"},
        {"\xd9\x85\xe2\x80\x8c", "\xd9\x85\xe2\x80\x8c"}, /* the joiners that Persian is written with */
        {"\xff\xe2\x80", "\\xff\\xe2\\x80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf buf = buf_make(1000);
        utf8_add_printable(&buf, str_of(cases[i].text));
        buf_add_char(&buf, '\0');
        assert_string_equal(buf.bytes, cases[i].printable);
        buf_free(&buf);
    }
}

static void test_utf8_is_unambiguous(void **state)
{
    (void)state;
    assert_shown_as("a\\xffb", 6, "a\\x5cxffb");
    assert_shown_as("\\", 1, "\\");
    assert_shown_as("\\\\x00", 5, "\\\\x5cx00");
}

static struct name_filter filter_of(const char *include, const char *exclude)
{
    struct name_filter filter = {0};
    struct error error = {0};
    if (include != NULL)
        assert_true(name_filter_add(&filter, FILTER_INCLUDE, include, &error));
    if (exclude != NULL)
        assert_true(name_filter_add(&filter, FILTER_EXCLUDE, exclude, &error));
    return filter;
}

/* A filter includes "orders" and whatever begins with "pay": whole names must match, alternatives too. */
static void test_filter_matches_whole_names(void **state)
{
    (void)state;
    struct name_filter filter = filter_of("orders|pay.*", NULL);
    assert_true(name_filter_passes(&filter, STR_LITERAL("orders")));
    assert_true(name_filter_passes(&filter, STR_LITERAL("payments")));
    assert_false(name_filter_passes(&filter, STR_LITERAL("orders-dead-letters")));
    assert_false(name_filter_passes(&filter, STR_LITERAL("my-orders")));
    assert_false(name_filter_passes(&filter, STR_LITERAL("orders\0x")));
    assert_true(name_filter_passes(&filter, STR_LITERAL("pay\0\n\xff")));
    name_filter_free(&filter);
    filter = filter_of("a\\\\x00b", NULL);
    assert_true(name_filter_passes(&filter, STR_LITERAL("a\0b")));
    name_filter_free(&filter);
}

/* A name is both included and excluded: it is out. With no include pattern all others are in. */
static void test_filter_excludes(void **state)
{
    (void)state;
    struct name_filter filter = filter_of(NULL, "__.*");
    assert_false(name_filter_passes(&filter, STR_LITERAL("__consumer_offsets")));
    assert_true(name_filter_passes(&filter, STR_LITERAL("orders")));
    assert_true(name_filter_passes(&filter, (struct str){NULL, 0}));
    name_filter_free(&filter);
    filter = filter_of("a.*", "ab.*");
    assert_true(name_filter_passes(&filter, STR_LITERAL("ac")));
    assert_false(name_filter_passes(&filter, STR_LITERAL("abc")));
    name_filter_free(&filter);
}

/* A pattern doesn't compile: the error quotes it as the user wrote it, and the filter is as before. */
static void test_filter_refuses_bad_pattern(void **state)
{
    (void)state;
    struct name_filter filter = {0};
    struct error error = {0};
    assert_false(name_filter_add(&filter, FILTER_INCLUDE, "a(", &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_non_null(strstr(error_text(&error), "\"a(\""));
    assert_true(name_filter_passes(&filter, STR_LITERAL("anything")));
    error_clear(&error);
    name_filter_free(&filter);
}

/* Patterns whose repetitions would take gigabytes are refused, however they are written; those that people
 * write are not, nor a long list of names. */
static void test_filter_refuses_a_pattern_that_grows(void **state)
{
    (void)state;
    static const char *const large[] = {
        "((a{1,200}){1,200}){1,200}",
        "(((a{99}){99}){99}){99}",
        "a{1,200}){1,200}){1,200}|((b",
        "a{30000}",
        "a{1,2000}",
        "([]{1,9}x[:alpha:]]{1,200}){1,200}",
        "(\\({1,200}){1,200}",
        "((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
    };
    static const char *const small[] = {
        "[a-z]{1,249}", "([a-z0-9]{1,30}[.-]){1,20}[a-z]+", "((a*)*)*",
        "a{3}{3}",      "(eu|us)-[0-9]{4}(-.+)?",           "[{][1,2000}]*",
    };
    struct name_filter filter = {0};
    struct error error = {0};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        assert_false(name_filter_add(&filter, FILTER_INCLUDE, large[i], &error));
        assert_non_null(strstr(error_text(&error), "repeat less"));
        error_clear(&error);
    }
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        assert_true(name_filter_add(&filter, FILTER_INCLUDE, small[i], &error));
    struct buf names = buf_make(1 << 16);
    for (int i = 0; i < 500; i++)
        buf_add_format(&names, "topic-%d|", i);
    buf_add(&names, "last", sizeof "last");
    assert_true(name_filter_add(&filter, FILTER_INCLUDE, names.bytes, &error));
    assert_true(name_filter_passes(&filter, STR_LITERAL("topic-499")));
    buf_free(&names);
    name_filter_free(&filter);
}

/* Durations as people write them, and what only looks like one. */
static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"0s", 0},    {"500ms", 500}, {"15s", 15000}, {"1.5m", 90000}, {"24h", 86400000}, {"2d", 172800000},
        {"", -1},     {"5", -1},      {"s", -1},      {"-5s", -1},     {"+5s", -1},       {" 5s", -1},
        {"5s ", -1},  {"5 s", -1},    {"infs", -1},   {"nans", -1},    {"1e400s", -1},    {"99999999d", -1},
        {"soon", -1}, {"5sec", -1},   {"0x10s", -1},  {"1e3s", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        int64_t ms = -2;
        if (cases[i].ms >= 0) {
            assert_true(duration_parse(cases[i].text, &ms, &error));
            assert_int_equal(ms, cases[i].ms);
            continue;
        }
        assert_false(duration_parse(cases[i].text, &ms, &error));
        assert_int_equal(error.code, ERROR_USAGE);
        assert_int_equal(ms, -2);
        error_clear(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_wrapped),
        cmocka_unit_test(test_error_is_replaced),
        cmocka_unit_test(test_buf_integers),
        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_utf8_well_formed),
        cmocka_unit_test(test_utf8_malformed),
        cmocka_unit_test(test_utf8_is_unambiguous),
        cmocka_unit_test(test_utf8_printable),
        cmocka_unit_test(test_filter_matches_whole_names),
        cmocka_unit_test(test_filter_excludes),
        cmocka_unit_test(test_filter_refuses_bad_pattern),
        cmocka_unit_test(test_filter_refuses_a_pattern_that_grows),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
