#include "logstore/bytes.h"
#include "logstore/crc32c.h"
#include "logstore/logstore.h"
#include "logstore/murmur2.h"
#include "logstore/quote.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>

/* The vectors of RFC 3720, B.4, and the customary one. */
static void test_crc32c_of_known_vectors(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++)
        rising[i] = (uint8_t)i;
    uint32_t (*const crcs[])(uint32_t, const void *, size_t) = {crc32c, crc32c_software};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(crcs[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(crcs[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(crcs[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(crcs[i](0, rising, 32), 0x46dd794e);
        assert_int_equal(crcs[i](0, NULL, 0), 0);
    }
}

/* Inputs of all lengths and alignments around the stretches that the fast way works on. */
static void test_crc32c_is_the_same_both_ways_and_in_pieces(void **state)
{
    (void)state;
    enum { SIZE = 20000 };
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7919 >> 3);
    for (size_t length = 0; length < SIZE - 8; length += length < 100 ? 1 : 577) {
        const uint8_t *at = bytes + length % 8;
        uint32_t whole = crc32c(0, at, length);
        assert_int_equal(whole, crc32c_software(0, at, length));
        assert_int_equal(whole, crc32c(crc32c(0, at, length / 3), at + length / 3, length - length / 3));
    }
    free(bytes);
}

/* The vectors of Kafka's own UtilsTest. */
static void test_murmur2_of_kafkas_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } VECTORS[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++) {
        struct str key = str_of(VECTORS[i].key);
        assert_int_equal((int32_t)murmur2(key.bytes, key.length), VECTORS[i].hash);
        assert_int_equal(logstore_partition_for(key, 1000), (VECTORS[i].hash & INT32_MAX) % 1000);
    }
}

static void test_varints_of_every_length_come_back(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++)
        for (int below = 0; below < 2; below++) {
            uint64_t value = ((uint64_t)1 << bit) - (uint64_t)below;
            uint8_t bytes[10];
            size_t size = (size_t)(put_uvarint(bytes, value) - bytes);
            struct cursor cursor = cursor_make(bytes, size);
            assert_true(cursor_uvarint(&cursor) == value && !cursor.failed && cursor_left(&cursor) == 0);
            cursor = cursor_make(bytes, size - 1);
            cursor_uvarint(&cursor);
            assert_true(cursor.failed);
            assert_true(unzigzag(zigzag((int64_t)value)) == (int64_t)value);
        }
}

/* Eleven bytes that each say that another one follows. */
static void test_a_varint_without_end_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[11];
    memset(bytes, 0x80, sizeof bytes);
    struct cursor cursor = cursor_make(bytes, sizeof bytes);
    assert_int_equal(cursor_uvarint(&cursor), 0);
    assert_true(cursor.failed);
}

static void test_names_are_quoted_and_cut(void **state)
{
    (void)state;
    struct quoted quoted;
    assert_string_equal(quote(STR_LITERAL("a\"b\\c\n\0d"), &quoted), "\"a\\\"b\\\\c\\x0a\\x00d\"");
    char *name = malloc(32768);
    assert_non_null(name);
    memset(name, '\xff', 32768);
    quote((struct str){name, 32768}, &quoted);
    assert_true(strlen(quoted.text) < sizeof quoted.text);
    assert_non_null(strstr(quoted.text, "…\""));
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_of_known_vectors),
        cmocka_unit_test(test_crc32c_is_the_same_both_ways_and_in_pieces),
        cmocka_unit_test(test_murmur2_of_kafkas_vectors),
        cmocka_unit_test(test_varints_of_every_length_come_back),
        cmocka_unit_test(test_a_varint_without_end_is_refused),
        cmocka_unit_test(test_names_are_quoted_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
