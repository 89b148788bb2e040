#ifndef TESTS_LIB_LOGSTORE_GOLDEN_H
#define TESTS_LIB_LOGSTORE_GOLDEN_H

#include "tests/lib/logstore_fixture.h"

#include "exporter/base/clock.h"

#include <sys/random.h>
#include <sys/stat.h>

/*
 * A store of which every byte is known: the clocks, the random numbers, the host's name and the boot id are
 * this file's own, in place of the system's. tests/unit/golden/ has it as text, one file after the other:
 *
 *     file NAME SIZE
 *     POSITION: up to 32 bytes in hexadecimal digits, where not all of them are 0
 */

static int64_t golden_now_ms = 1764000000000;
static uint64_t golden_chance = 1;

int64_t clock_wall_ms(void)
{
    return golden_now_ms;
}

int64_t clock_monotonic_us(void)
{
    return (golden_now_ms - 1763999000000) * 1000;
}

ssize_t getrandom(void *bytes, size_t count, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < count; i++) {
        golden_chance = golden_chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((unsigned char *)bytes)[i] = (unsigned char)(golden_chance >> 56);
    }
    return (ssize_t)count;
}

int gethostname(char *name, size_t length)
{
    snprintf(name, length, "golden.example");
    return 0;
}

static const struct fsio_fault golden_machine = {.before = fixture_no_fault, .boot = 0x0123456789abcdef};

/* Where the file `name` of the store is. */
static void golden_path(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", fixture_folder, name);
}

/* Makes a file of zeros, and the folders above it. */
static FILE *golden_make_file(const char *name, long size)
{
    char path[512];
    golden_path(path, name);
    for (char *slash = strchr(path + strlen(fixture_folder) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700); /* it may be there */
        *slash = '/';
    }
    FILE *file = fopen(path, "w+e");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), size), 0);
    return file;
}

static void golden_put_bytes(FILE *file, const char *line)
{
    unsigned long position;
    int skipped;
    unsigned byte;
    assert_int_equal(sscanf(line, "%lu: %n", &position, &skipped), 1);
    assert_int_equal(fseek(file, (long)position, SEEK_SET), 0);
    for (line += skipped; sscanf(line, "%2x", &byte) == 1; line += 2)
        assert_int_equal(fputc((int)byte, file), (int)byte);
}

/* Makes the store of the text file in fixture_folder. */
static void golden_restore(const char *text)
{
    char line[512], name[256];
    long size;
    FILE *in = fopen(text, "re"), *out = NULL;
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        if (sscanf(line, "file %255s %ld", name, &size) == 2) {
            assert_true(out == NULL || fclose(out) == 0);
            out = golden_make_file(name, size);
        } else {
            assert_non_null(out);
            golden_put_bytes(out, line);
        }
    }
    assert_int_equal(fclose(out), 0);
    fclose(in);
}

#endif
