#ifndef LOGSTORE_CLI_ARGUMENTS_H
#define LOGSTORE_CLI_ARGUMENTS_H

#include "logstore/logstore.h"

/* An option of a verb. */
struct option {
    const char *name;  /* without the dashes */
    const char *value; /* what help calls its value; NULL: it has none */
    const char *help;
};

enum { ARGUMENTS_MOST = 64 };

/* What stood on the command line, sorted: borrowed from argv. */
struct arguments {
    const char *positional[ARGUMENTS_MOST];
    int positional_count;
    struct {
        const struct option *option;
        const char *value; /* "" for an option without one */
    } given[ARGUMENTS_MOST];
    int given_count;
};

/* Sorts argv[0] … argv[argc - 1]: --name VALUE, --name=VALUE, --name, and the rest; "--" ends the options.
 * ERROR_USAGE. */
bool arguments_parse(struct arguments *arguments, const struct option *options, int argc, char **argv,
                     struct error *error);

/* The value of an option, the last one where it was given more than once; NULL: it wasn't. */
const char *argument_value(const struct arguments *arguments, const char *name);

/* A number in the range; `fallback` when the option wasn't given. ERROR_USAGE. */
bool argument_number(const struct arguments *arguments, const char *name, int64_t fallback, int64_t least,
                     int64_t most, int64_t *number, struct error *error);

/* The same of a text. */
bool parse_number(const char *what, const char *text, int64_t least, int64_t most, int64_t *number,
                  struct error *error);

#endif
