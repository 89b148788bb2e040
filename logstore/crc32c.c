#include "logstore/crc32c.h"

#include "logstore/bytes.h"

#include <pthread.h>

/*
 * The polynomial, reflected. By tables: eight bytes a step ("slicing by 8", Kounavis and Berry 2005). By
 * the instruction: eight bytes a step too. Either way a step has to wait for the one before, while the
 * processor could do several at once; so four stretches of the input are run side by side and joined with a
 * table that appends as many zeros as a stretch is long.
 */
enum { POLYNOMIAL_HIGH = 0x82f6, POLYNOMIAL_LOW = 0x3b78, STRETCH = 1024, STRETCHES = 4 * STRETCH };

bool crc32c_by_tables_only;

static uint32_t slices[8][256];
static uint32_t zeros[4][256]; /* zeros[i][b]: what byte i of a CRC, being b, becomes after STRETCH zeros */
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static uint32_t after_zeros(uint32_t crc, size_t count)
{
    for (size_t i = 0; i < count; i++)
        crc = slices[0][crc & 0xff] ^ (crc >> 8);
    return crc;
}

static void make_tables(void)
{
    const uint32_t polynomial = (uint32_t)POLYNOMIAL_HIGH << 16 | POLYNOMIAL_LOW;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        slices[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int slice = 1; slice < 8; slice++)
            slices[slice][byte] = slices[0][slices[slice - 1][byte] & 0xff] ^ (slices[slice - 1][byte] >> 8);
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int position = 0; position < 4; position++)
            zeros[position][byte] = after_zeros(byte << (8 * position), STRETCH);
}

static inline uint32_t append_zeros(uint32_t crc)
{
    return zeros[0][crc & 0xff] ^ zeros[1][crc >> 8 & 0xff] ^ zeros[2][crc >> 16 & 0xff] ^
           zeros[3][crc >> 24];
}

/* The CRC of four stretches, each of which but the first was begun with 0. */
static inline uint32_t join(uint32_t first, uint32_t second, uint32_t third, uint32_t fourth)
{
    return append_zeros(append_zeros(append_zeros(first) ^ second) ^ third) ^ fourth;
}

static inline uint32_t step_by_tables(uint32_t crc, const uint8_t *at)
{
    uint32_t low = get32(at) ^ crc, high = get32(at + 4);
    return slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^ slices[5][low >> 16 & 0xff] ^
           slices[4][low >> 24] ^ slices[3][high & 0xff] ^ slices[2][high >> 8 & 0xff] ^
           slices[1][high >> 16 & 0xff] ^ slices[0][high >> 24];
}

static uint32_t by_tables(uint32_t crc, const uint8_t *at, size_t count)
{
    for (; count >= STRETCHES; count -= STRETCHES, at += STRETCHES) {
        uint32_t first = crc, second = 0, third = 0, fourth = 0;
        for (size_t i = 0; i < STRETCH; i += 8) {
            first = step_by_tables(first, at + i);
            second = step_by_tables(second, at + (size_t)1 * STRETCH + i);
            third = step_by_tables(third, at + (size_t)2 * STRETCH + i);
            fourth = step_by_tables(fourth, at + (size_t)3 * STRETCH + i);
        }
        crc = join(first, second, third, fourth);
    }
    for (; count >= 8; count -= 8, at += 8)
        crc = step_by_tables(crc, at);
    for (; count > 0; count--, at++)
        crc = slices[0][(crc ^ *at) & 0xff] ^ (crc >> 8);
    return crc;
}

uint32_t crc32c_software(uint32_t crc, const void *bytes, size_t count)
{
    pthread_once(&tables_once, make_tables);
    return ~by_tables(~crc, bytes, count);
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t count)
{
    uint64_t first = crc;
    for (; count >= STRETCHES; count -= STRETCHES, at += STRETCHES) {
        uint64_t second = 0, third = 0, fourth = 0;
        for (size_t i = 0; i < STRETCH; i += 8) {
            first = _mm_crc32_u64(first, get64(at + i));
            second = _mm_crc32_u64(second, get64(at + (size_t)1 * STRETCH + i));
            third = _mm_crc32_u64(third, get64(at + (size_t)2 * STRETCH + i));
            fourth = _mm_crc32_u64(fourth, get64(at + (size_t)3 * STRETCH + i));
        }
        first = join((uint32_t)first, (uint32_t)second, (uint32_t)third, (uint32_t)fourth);
    }
    for (; count >= 8; count -= 8, at += 8)
        first = _mm_crc32_u64(first, get64(at));
    uint32_t rest = (uint32_t)first;
    for (; count > 0; count--, at++)
        rest = _mm_crc32_u8(rest, *at);
    return rest;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t count)
{
    if (crc32c_by_tables_only || !__builtin_cpu_supports("sse4.2"))
        return crc32c_software(crc, bytes, count);
    if (count >= STRETCHES)
        pthread_once(&tables_once, make_tables);
    return ~by_instruction(~crc, bytes, count);
}

#else

uint32_t crc32c(uint32_t crc, const void *bytes, size_t count)
{
    return crc32c_software(crc, bytes, count);
}

#endif
