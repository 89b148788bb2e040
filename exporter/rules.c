#include "exporter/rules.h"

#include "exporter/base/buf.h"
#include "exporter/base/duration.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum rule_kind { RULE_DURATION, RULE_SHARE, RULE_COUNT };

static const struct rule_row {
    const char *name;
    enum rule_kind kind;
    enum rule_scope scope;
    size_t offset;
} rows[] = {
#define ROW_DURATION(name, value, scope, meaning)                                                            \
    {#name, RULE_DURATION, RULE_OF_##scope, offsetof(struct rules, name##_ms)},
#define ROW_SHARE(name, value, scope, meaning)                                                               \
    {#name, RULE_SHARE, RULE_OF_##scope, offsetof(struct rules, name)},
#define ROW_COUNT(name, value, scope, meaning)                                                               \
    {#name, RULE_COUNT, RULE_OF_##scope, offsetof(struct rules, name)},
    RULE_TABLE(ROW_DURATION, ROW_SHARE, ROW_COUNT)};

enum { ROWS = sizeof rows / sizeof rows[0] };
_Static_assert(ROWS <= 32, "a rule_set has a bit for each rule");

static const int64_t longest_ms = INT64_C(3660) * 24 * 3600 * 1000;
static const int64_t highest_count = 1000;

struct rules rules_default(void)
{
#define DEFAULT_DURATION(name, value, scope, meaning) .name##_ms = (value),
#define DEFAULT_NUMBER(name, value, scope, meaning)   .name = (value),
    return (struct rules){RULE_TABLE(DEFAULT_DURATION, DEFAULT_NUMBER, DEFAULT_NUMBER)};
}

/* A duration from 1 ms to ten years. */
static bool parse_duration(const char *text, int64_t *ms)
{
    struct error error = {0};
    int64_t value = 0;
    bool parsed = duration_parse(text, &value, &error);
    error_clear(&error);
    if (!parsed || value < 1 || value > longest_ms)
        return false;
    *ms = value;
    return true;
}

static bool parse_share(const char *text, double *share)
{
    char *rest;
    double number = strtod(text, &rest);
    if (rest == text || *rest != '\0' || !(number > 0) || number > 1)
        return false;
    *share = number;
    return true;
}

static bool parse_count(const char *text, int64_t *count)
{
    char *rest;
    errno = 0;
    long long number = strtoll(text, &rest, 10);
    if (rest == text || *rest != '\0' || errno != 0 || number < 1 || number > highest_count)
        return false;
    *count = number;
    return true;
}

static bool parse(struct rules *rules, const struct rule_row *row, const char *text)
{
    char *place = (char *)rules + row->offset;
    switch (row->kind) {
    case RULE_DURATION:
        return parse_duration(text, (int64_t *)(void *)place);
    case RULE_SHARE:
        return parse_share(text, (double *)(void *)place);
    default:
        return parse_count(text, (int64_t *)(void *)place);
    }
}

static void refuse_name(const char *name, struct error *error)
{
    struct buf names = buf_make(1024);
    for (size_t i = 0; i < ROWS; i++)
        buf_add_format(&names, "%s%s", i > 0 ? ", " : "", rows[i].name);
    error_set(error, ERROR_USAGE, "there is no rule \"%s\": use one of %.*s", name, (int)names.length,
              buf_ok(&names) ? names.bytes : "");
    buf_free(&names);
}

bool rules_set_some(struct rules *rules, rule_set *set, const char *name, const char *value,
                    struct error *error)
{
    static const char *const wanted[] = {
        [RULE_DURATION] = "a duration such as 500ms, 90s, 5m, 24h or 2d",
        [RULE_SHARE] = "a number above 0 and up to 1",
        [RULE_COUNT] = "a whole number from 1 to 1000",
    };
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (parse(rules, &rows[i], value)) {
            *set |= UINT32_C(1) << i;
            return true;
        }
        error_set(error, ERROR_USAGE, "rule \"%s\": \"%s\" is not %s", name, value, wanted[rows[i].kind]);
        return false;
    }
    refuse_name(name, error);
    return false;
}

bool rules_set(struct rules *rules, const char *name, const char *value, struct error *error)
{
    rule_set set = 0;
    return rules_set_some(rules, &set, name, value, error);
}

int64_t rules_horizon(const struct rules *rules, double lasts_ms)
{
    double share_ms = rules->horizon_share * lasts_ms;
    if (!(share_ms > 0))
        return 0;
    return share_ms < (double)rules->horizon_ms ? (int64_t)share_ms : rules->horizon_ms;
}

const char *rules_find_scope(rule_set set, enum rule_scope scope)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((set & UINT32_C(1) << i) != 0 && rows[i].scope == scope)
            return rows[i].name;
    return NULL;
}

void rules_overlay(struct rules *rules, const struct rules *from, rule_set set)
{
    for (size_t i = 0; i < ROWS; i++) {
        size_t size = rows[i].kind == RULE_SHARE ? sizeof(double) : sizeof(int64_t);
        if (set & UINT32_C(1) << i)
            memcpy((char *)rules + rows[i].offset, (const char *)from + rows[i].offset, size);
    }
}
