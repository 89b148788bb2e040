#ifndef TIDEMARK_STATUS_ANSWER_H
#define TIDEMARK_STATUS_ANSWER_H

#include "exporter/ask.h"
#include "exporter/base/str.h"
#include "exporter/terminal.h"

#include <jansson.h>
#include <stdbool.h>

/* What the commands that ask a daemon have in common: flags, answers and their pieces as text. */

enum { STATUS_OK = 0, STATUS_WARNING = 1, STATUS_CRITICAL = 2, STATUS_UNKNOWN = 3 };

struct status_flags {
    struct ask ask;
    const char *cluster;  /* NULL: any */
    const char *argument; /* what is no flag; NULL: nothing */
    bool json, help;
};

/* Reads the flags; `takes_argument` tells whether there has to be an argument. */
bool status_parse_flags(int argc, char **argv, bool takes_argument, struct status_flags *flags,
                        struct error *error);

/* The answer to `path` as JSON, owned by the caller; NULL with the error, also when there is no list of that
 * name in it, as in the answer of another program. `text` is made, and gets its text. */
json_t *status_ask(const struct status_flags *flags, const char *path, const char *list, struct buf *text,
                   struct error *error);

/* The value of a key: "" or UNKNOWN's substitute when it isn't there. */
struct str status_text(const json_t *object, const char *key);
bool status_number(const json_t *object, const char *key, double *value);

/* Appends a number of messages, or seconds as a duration or a time, under the key; `absent` if unknown. */
void status_add_count(struct buf *out, const json_t *object, const char *key, const char *absent);
void status_add_duration(struct buf *out, const json_t *object, const char *key, const char *absent);
void status_add_time(struct buf *out, const json_t *object, const char *key, const char *absent);

/* How grave a group's or condition's "grade" is, and the colour that belongs to it. */
int status_grade(const json_t *object);
enum colour status_colour(const json_t *object);

/* One line on standard error; STATUS_UNKNOWN. Clears the error. */
int status_fail(const char *command, struct error *error);

/* Writes it to standard output; false when that can't be written to. */
bool status_print(const struct buf *out);

#endif
