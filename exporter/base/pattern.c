#include "exporter/base/pattern.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole name must match, so "orders" doesn't let "orders-dead-letters" through. */
static char *anchored(const char *pattern)
{
    size_t size = strlen(pattern) + sizeof "^()$";
    char *text = mem_array(size, 1);
    snprintf(text, size, "^(%s)$", pattern);
    return text;
}

bool name_filter_add(struct name_filter *filter, enum filter_side side, const char *pattern,
                     struct error *error)
{
    struct pattern_list *list = side == FILTER_INCLUDE ? &filter->include : &filter->exclude;
    size_t capacity = list->count;
    list->compiled = mem_grow(list->compiled, &capacity, list->count + 1, sizeof *list->compiled);
    regex_t *compiled = &list->compiled[list->count];
    char *text = anchored(pattern);
    int code = regcomp(compiled, text, REG_EXTENDED | REG_NOSUB);
    free(text);
    if (code != 0) {
        char reason[256];
        regerror(code, compiled, reason, sizeof reason);
        error_set(error, ERROR_USAGE, "\"%s\" is no POSIX extended regular expression: %s", pattern, reason);
        return false;
    }
    list->count++;
    return true;
}

static bool matches(const struct pattern_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (regexec(&list->compiled[i], name, 0, NULL, 0) == 0)
            return true;
    return false;
}

bool name_filter_passes(const struct name_filter *filter, struct str name)
{
    if (filter->include.count == 0 && filter->exclude.count == 0)
        return true;
    struct buf shown = buf_make(SIZE_MAX);
    utf8_add_shown(&shown, name);
    buf_add_char(&shown, '\0');
    /* Without memory for the shown name it is left out: that is what an exclude pattern would have wanted. */
    bool passes = buf_ok(&shown) && (filter->include.count == 0 || matches(&filter->include, shown.bytes)) &&
                  !matches(&filter->exclude, shown.bytes);
    buf_free(&shown);
    return passes;
}

static void free_list(struct pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        regfree(&list->compiled[i]);
    free(list->compiled);
    *list = (struct pattern_list){0};
}

void name_filter_free(struct name_filter *filter)
{
    free_list(&filter->include);
    free_list(&filter->exclude);
}
