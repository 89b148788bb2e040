#include "exporter/base/duration.h"

#include <stdlib.h>
#include <string.h>

static const struct unit {
    const char *name;
    double ms;
} units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60.0 * 1000}, {"h", 3600.0 * 1000}, {"d", 24 * 3600.0 * 1000},
};

/* A century: longer ones are mistakes, and sums of shorter ones don't overflow. */
static const double longest_ms = 100 * 365 * 24 * 3600.0 * 1000;

bool duration_parse(const char *text, int64_t *ms, struct error *error)
{
    char *end = NULL;
    double number = strtod(text, &end);
    /* strtod() would take blanks, signs, exponents, hexadecimal numbers, "inf" and "nan" as well. */
    bool plain = end > text && strspn(text, "0123456789.") == (size_t)(end - text);
    for (size_t i = 0; plain && i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        double value = number * units[i].ms;
        if (value > longest_ms)
            break;
        *ms = (int64_t)(value + 0.5);
        return true;
    }
    error_set(error, ERROR_USAGE,
              "\"%s\" is no duration; write a number and a unit, such as 500ms, 15s, 5m, 24h or 2d", text);
    return false;
}
