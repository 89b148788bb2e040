#include "exporter/base/pattern.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* --- how large a pattern becomes ----------------------------------------------------------------------- */

/* regcomp() writes repetitions out: "((a{1,200}){1,200}){1,200}" costs it 22 s and 15 GB. What follows counts
 * the characters that a pattern has then, up to CEILING. MOST_MORE than it has itself take some megabytes. */
enum { MOST_MORE = 1000, DEEPEST = 100, CEILING = 1 << 30 };

struct scan {
    const char *at;
    int depth; /* of parentheses */
};

static int add(int a, int b)
{
    return a < CEILING - b ? a + b : CEILING;
}

static int multiply(int a, int b)
{
    return b == 0 || a < CEILING / b ? a * b : CEILING;
}

/* Past the bracket expression whose "[" was read: a "]" at its beginning, or in [: :], [. .] and [= =],
 * doesn't end it. */
static void skip_bracket(struct scan *scan)
{
    scan->at += *scan->at == '^';
    scan->at += *scan->at == ']';
    while (*scan->at != '\0' && *scan->at != ']') {
        char kind = scan->at[0] == '[' ? scan->at[1] : '\0';
        const char closing[] = {kind, ']', '\0'};
        const char *end = kind != '\0' && strchr(":.=", kind) != NULL ? strstr(scan->at + 2, closing) : NULL;
        scan->at = end != NULL ? end + 2 : scan->at + 1;
    }
    scan->at += *scan->at == ']';
}

/* The number that stands there; 0 where there is none. */
static int number(struct scan *scan)
{
    int value = 0;
    for (; isdigit((unsigned char)*scan->at); scan->at++)
        value = add(multiply(value, 10), *scan->at - '0');
    return value;
}

/* How often the one before is written out by the repetitions that follow it. */
static int repetitions(struct scan *scan)
{
    int times = 1;
    for (; *scan->at != '\0' && strchr("*+?{", *scan->at) != NULL;) {
        char kind = *scan->at++;
        if (kind == '+')
            times = multiply(times, 2);
        if (kind != '{')
            continue;
        int least = number(scan), most = 0;
        if (*scan->at == ',') {
            scan->at++;
            most = number(scan);
        }
        scan->at += *scan->at == '}';
        times = multiply(times, add(most > least ? most : least, 1));
    }
    return times;
}

static int count_sequence(struct scan *scan);

static int count_one(struct scan *scan)
{
    int count = 1;
    switch (*scan->at++) {
    case '\\':
        scan->at += *scan->at != '\0';
        break;
    case '[':
        skip_bracket(scan);
        break;
    case '(':
        count = ++scan->depth > DEEPEST ? CEILING : add(count_sequence(scan), 1);
        scan->depth--;
        scan->at += *scan->at == ')';
        break;
    default:
        break;
    }
    return count;
}

/* Up to the parenthesis that closes it, or the end. */
static int count_sequence(struct scan *scan)
{
    int count = 0;
    while (*scan->at != '\0' && *scan->at != ')' && count < CEILING) {
        int one = count_one(scan);
        count = add(count, multiply(one, repetitions(scan)));
    }
    return count;
}

/* A parenthesis that closes nothing doesn't end it. */
static bool is_too_large(const char *pattern)
{
    struct scan scan = {.at = pattern};
    int count = 0;
    while (*scan.at != '\0' && count < CEILING) {
        count = add(count, count_sequence(&scan));
        scan.at += *scan.at == ')';
    }
    return count >= CEILING || (size_t)count > strlen(pattern) + MOST_MORE;
}

/* --- patterns ------------------------------------------------------------------------------------------ */

/* The whole name must match, so "orders" doesn't let "orders-dead-letters" through. */
static char *anchored(const char *pattern)
{
    size_t size = strlen(pattern) + sizeof "^()$";
    char *text = mem_array(size, 1);
    snprintf(text, size, "^(%s)$", pattern);
    return text;
}

static bool compile(regex_t *compiled, const char *pattern, struct error *error)
{
    char *text = anchored(pattern);
    bool small = !is_too_large(text);
    int code = small ? regcomp(compiled, text, REG_EXTENDED | REG_NOSUB) : 0;
    free(text);
    if (!small) {
        error_set(error, ERROR_USAGE,
                  "\"%s\" is too large, since its repetitions add more than %d characters; repeat less",
                  pattern, MOST_MORE);
    } else if (code != 0) {
        char reason[256];
        regerror(code, compiled, reason, sizeof reason);
        error_set(error, ERROR_USAGE, "\"%s\" is no POSIX extended regular expression: %s", pattern, reason);
    }
    return small && code == 0;
}

bool name_filter_add(struct name_filter *filter, enum filter_side side, const char *pattern,
                     struct error *error)
{
    struct pattern_list *list = side == FILTER_INCLUDE ? &filter->include : &filter->exclude;
    size_t capacity = list->count;
    list->compiled = mem_grow(list->compiled, &capacity, list->count + 1, sizeof *list->compiled);
    if (!compile(&list->compiled[list->count], pattern, error))
        return false;
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
