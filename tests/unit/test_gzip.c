#include "exporter/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zlib.h>

enum { PIECES = 400, LONGEST = 3001, LIMIT = 1 << 24 };

/* Unpacks one member, as a client does that knows of no second, into a buffer with one byte to spare. */
static size_t unpack(const struct buf *packed, char *target, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)packed->bytes,
                       .avail_in = (uInt)packed->length,
                       .next_out = (Bytef *)target,
                       .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    return stream.total_out;
}

/* Pieces of all lengths, some that don't shrink and some that do, are one member. */
static void test_pieces(void **state)
{
    (void)state;
    unsigned seed = 7;
    struct buf plain = buf_make(LIMIT), packed = buf_make(LIMIT);
    struct gzip *gzip = gzip_new();
    assert_non_null(gzip);
    for (int i = 0; i < PIECES; i++) {
        size_t start = plain.length, length = (size_t)rand_r(&seed) % LONGEST;
        for (size_t k = 0; k < length; k++)
            buf_add_char(&plain, i % 2 == 0 ? 'a' : (char)rand_r(&seed));
        gzip_add(gzip, (struct str){plain.bytes + start, length}, &packed);
    }
    gzip_end(gzip, &packed);
    gzip_free(&gzip);
    assert_null(gzip);
    assert_true(buf_ok(&plain) && buf_ok(&packed));
    assert_true(packed.length < plain.length * 2 / 3);
    char *unpacked = malloc(plain.length + 1);
    assert_non_null(unpacked);
    assert_int_equal(unpack(&packed, unpacked, plain.length + 1), plain.length);
    assert_memory_equal(unpacked, plain.bytes, plain.length);
    free(unpacked);
    buf_free(&plain);
    buf_free(&packed);
}

/* Nothing is added: that is a member, too. */
static void test_nothing(void **state)
{
    (void)state;
    struct buf packed = buf_make(LIMIT);
    struct gzip *gzip = gzip_new();
    assert_non_null(gzip);
    gzip_end(gzip, &packed);
    gzip_free(&gzip);
    char rest;
    assert_int_equal(unpack(&packed, &rest, 1), 0);
    buf_free(&packed);
}

/* What comes out doesn't fit: the buffer says so. */
static void test_no_room(void **state)
{
    (void)state;
    char bytes[1000] = {0};
    struct buf packed = buf_make(10);
    struct gzip *gzip = gzip_new();
    assert_non_null(gzip);
    gzip_add(gzip, (struct str){bytes, sizeof bytes}, &packed);
    gzip_end(gzip, &packed);
    gzip_free(&gzip);
    assert_false(buf_ok(&packed));
    buf_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
