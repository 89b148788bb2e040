#include "exporter/base/human.h"
#include "exporter/base/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char shown[4096];

static const char *text_of(struct buf *out)
{
    assert_true(buf_ok(out) && out->length < sizeof shown);
    memcpy(shown, out->length > 0 ? out->bytes : "", out->length);
    shown[out->length] = '\0';
    buf_free(out);
    return shown;
}

/* Objects in arrays in objects, some of them empty: commas stand between what belongs together, only there.
 */
static void test_nested(void **state)
{
    (void)state;
    struct buf out = buf_make(4096);
    struct json_writer json = {.out = &out};
    json_put_open(&json, '{');
    json_put_key(&json, "a");
    json_put_open(&json, '[');
    json_put_int(&json, 1);
    json_put_null(&json);
    json_put_open(&json, '{');
    json_put_close(&json, '}');
    json_put_bool(&json, true);
    json_put_close(&json, ']');
    json_put_key(&json, "b");
    json_put_real(&json, 0.25);
    json_put_close(&json, '}');
    assert_string_equal(text_of(&out), "{\"a\":[1,null,{},true],\"b\":0.25}");
}

/* A text of quotes, backslashes, controls, and bytes that are no UTF-8 is a string of JSON still. */
static void test_hostile_text(void **state)
{
    (void)state;
    struct buf out = buf_make(4096);
    json_quote(&out, STR_LITERAL("\"\\\n\x7f\0\xff\xc3\xa4"));
    assert_string_equal(text_of(&out), "\"\\\"\\\\\\u000a\\u007f\\\\x00\\\\xff\xc3\xa4\"");
}

static const char *seconds(int64_t ms)
{
    struct buf out = buf_make(4096);
    struct json_writer json = {.out = &out};
    json_put_seconds(&json, ms);
    return text_of(&out);
}

/* Milliseconds as seconds, negative ones and the smallest there is too. */
static void test_seconds(void **state)
{
    (void)state;
    assert_string_equal(seconds(1500), "1.500");
    assert_string_equal(seconds(-7), "-0.007");
    assert_string_equal(seconds(INT64_MIN), "-9223372036854775.807");
}

static const char *duration(int64_t ms)
{
    struct buf out = buf_make(4096);
    human_add_duration(&out, ms);
    return text_of(&out);
}

static const char *count(int64_t number, const char *noun)
{
    struct buf out = buf_make(4096);
    human_add_counted(&out, number, noun);
    return text_of(&out);
}

/* Numbers as a person reads them. */
static void test_human(void **state)
{
    (void)state;
    assert_string_equal(duration(59940), "59.9s");
    assert_string_equal(duration(60000), "1m 0s");
    assert_string_equal(duration(3600 * 1000), "1h 0m");
    assert_string_equal(duration(INT64_C(100) * 3600 * 1000), "4d 4h");
    assert_string_equal(count(1, "message"), "1 message");
    assert_string_equal(count(0, "message"), "0 messages");
    assert_string_equal(count(999, "message"), "999 messages");
    assert_string_equal(count(1234567, "message"), "1,234,567 messages");
    assert_string_equal(count(-123456, "message"), "-123,456 messages");
    struct buf out = buf_make(4096);
    human_add_time(&out, INT64_C(1764000000000));
    assert_string_equal(text_of(&out), "2025-11-24 16:00:00 UTC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_human),
    };
    return cmocka_run_group_tests_name("written", tests, NULL, NULL);
}
