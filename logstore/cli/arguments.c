#include "logstore/cli/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option *find_option(const struct option *options, const char *name, size_t length)
{
    for (const struct option *option = options; option != NULL && option->name != NULL; option++)
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

/* Takes argv[*at], which begins with dashes, and its value. */
static bool take_option(struct arguments *arguments, const struct option *options, int argc, char **argv,
                        int *at, struct error *error)
{
    const char *name = argv[*at] + 2, *value = strchr(name, '=');
    size_t length = value != NULL ? (size_t)(value - name) : strlen(name);
    const struct option *option = find_option(options, name, length);
    if (option == NULL) {
        error_set(error, ERROR_USAGE, "there is no option %s; --help shows those there are", argv[*at]);
        return false;
    }
    if (value != NULL)
        value++;
    else if (option->value != NULL && *at + 1 < argc)
        value = argv[++*at];
    if ((value != NULL) != (option->value != NULL)) {
        error_set(error, ERROR_USAGE, "--%s takes %s value", option->name,
                  option->value != NULL ? "a" : "no");
        return false;
    }
    arguments->given[arguments->given_count].option = option;
    arguments->given[arguments->given_count++].value = value != NULL ? value : "";
    return true;
}

bool arguments_parse(struct arguments *arguments, const struct option *options, int argc, char **argv,
                     struct error *error)
{
    bool only_positional = false;
    *arguments = (struct arguments){0};
    for (int at = 0; at < argc; at++) {
        if (arguments->given_count == ARGUMENTS_MOST || arguments->positional_count == ARGUMENTS_MOST) {
            error_set(error, ERROR_USAGE, "more than %d arguments", ARGUMENTS_MOST);
            return false;
        }
        if (only_positional || strncmp(argv[at], "--", 2) != 0)
            arguments->positional[arguments->positional_count++] = argv[at];
        else if (argv[at][2] == '\0')
            only_positional = true;
        else if (!take_option(arguments, options, argc, argv, &at, error))
            return false;
    }
    return true;
}

const char *argument_value(const struct arguments *arguments, const char *name)
{
    for (int i = arguments->given_count; i > 0; i--)
        if (strcmp(arguments->given[i - 1].option->name, name) == 0)
            return arguments->given[i - 1].value;
    return NULL;
}

bool parse_number(const char *what, const char *text, int64_t least, int64_t most, int64_t *number,
                  struct error *error)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && parsed >= least && parsed <= most) {
        *number = parsed;
        return true;
    }
    error_set(error, ERROR_USAGE, "%s must be a whole number from %lld to %lld, not \"%s\"", what,
              (long long)least, (long long)most, text);
    return false;
}

bool argument_number(const struct arguments *arguments, const char *name, int64_t fallback, int64_t least,
                     int64_t most, int64_t *number, struct error *error)
{
    const char *text = argument_value(arguments, name);
    *number = fallback;
    return text == NULL || parse_number(name, text, least, most, number, error);
}
