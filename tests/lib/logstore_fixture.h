#ifndef TESTS_LIB_LOGSTORE_FIXTURE_H
#define TESTS_LIB_LOGSTORE_FIXTURE_H

#include "logstore/fsio.h"
#include "logstore/logstore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What tests of the log store have in common: a folder that goes away, and calls that must succeed. */

static char fixture_folder[64];

static int fixture_setup_at(const char *where)
{
    snprintf(fixture_folder, sizeof fixture_folder, "%s/logstore-test-XXXXXX", where);
    return mkdtemp(fixture_folder) == NULL ? -1 : 0;
}

__attribute__((unused)) static int fixture_setup(void **state)
{
    (void)state;
    return fixture_setup_at("/tmp");
}

static int fixture_remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int fixture_teardown(void **state)
{
    (void)state;
    return nftw(fixture_folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Fails the test with the error's text when something that must succeed did not. */
#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if (!(call)) {                                                                                       \
            fail_msg("%s: %s", #call, error_text(&error));                                                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Checks that a call fails with the code, and clears the error. */
#define MUST_FAIL(call, expected_code)                                                                       \
    do {                                                                                                     \
        assert_false(call);                                                                                  \
        assert_int_equal(error.code, expected_code);                                                         \
        error_clear(&error);                                                                                 \
    } while (0)

__attribute__((unused)) static struct logstore *fixture_open(enum logstore_access access,
                                                             enum logstore_fsync fsync)
{
    struct error error = {0};
    struct logstore_options options = {.access = access, .fsync = fsync};
    struct logstore *store = logstore_open(fixture_folder, &options, &error);
    MUST(store != NULL);
    return store;
}

/* For a seam that only watches, or says which boot it is. */
__attribute__((unused)) static int fixture_no_fault(void *context, struct fsio_step *step)
{
    (void)context;
    (void)step;
    return 0;
}

__attribute__((unused)) static struct logstore_record fixture_record(const char *key, const char *value)
{
    return (struct logstore_record){.key = key == NULL ? (struct str){NULL, 0} : str_of(key),
                                    .value = value == NULL ? (struct str){NULL, 0} : str_of(value)};
}

#endif
