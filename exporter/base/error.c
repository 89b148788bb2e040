#include "exporter/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL when there is no memory: error_text() then says so. */
static char *format_text(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return NULL;
    return text;
}

/* "first: second", freeing both; either may be NULL, which then is missing from the result. */
static char *join(char *first, char *second)
{
    if (first == NULL || second == NULL)
        return first != NULL ? first : second;
    char *joined = NULL;
    if (asprintf(&joined, "%s: %s", first, second) < 0)
        joined = NULL;
    free(first);
    free(second);
    return joined;
}

void error_set(struct error *error, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    error_clear(error);
    error->code = code;
    error->text = text;
}

void error_set_errno(struct error *error, enum error_code code, int system_errno, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    char reason[128];
    error_clear(error);
    error->code = code;
    error->text = join(text, strdup(strerror_r(system_errno, reason, sizeof reason)));
}

void error_wrap(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *prefix = format_text(format, arguments);
    va_end(arguments);
    error->text = join(prefix, error->text);
}

const char *error_text(const struct error *error)
{
    if (error->code == ERROR_NONE)
        return "no error";
    return error->text != NULL ? error->text : "out of memory";
}

void error_clear(struct error *error)
{
    free(error->text);
    error->text = NULL;
    error->code = ERROR_NONE;
}
