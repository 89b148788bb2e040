#ifndef TIDEMARK_BASE_PATTERN_H
#define TIDEMARK_BASE_PATTERN_H

#include "exporter/base/error.h"
#include "exporter/base/str.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Which names are wanted: POSIX extended regular expressions that must match the whole name as it is shown
 * (utf8.h). A name passes when an include pattern matches it (or there is none) and no exclude pattern does.
 * An empty filter, all zero, passes everything.
 */
struct name_filter {
    struct pattern_list {
        regex_t *compiled; /* owned */
        size_t count;
    } include, exclude;
};

enum filter_side { FILTER_INCLUDE, FILTER_EXCLUDE };

/* Adds a pattern; ERROR_USAGE with the compiler's reason when it is none, or when it is one that would take
 * much memory and time. */
bool name_filter_add(struct name_filter *filter, enum filter_side side, const char *pattern,
                     struct error *error);

/* Whether the name is wanted. Any thread. */
bool name_filter_passes(const struct name_filter *filter, struct str name);

void name_filter_free(struct name_filter *filter);

#endif
