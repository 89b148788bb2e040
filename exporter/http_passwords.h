#ifndef TIDEMARK_HTTP_PASSWORDS_H
#define TIDEMARK_HTTP_PASSWORDS_H

#include "exporter/base/error.h"
#include "exporter/config_web.h"

#include <stdbool.h>

/*
 * Checks names and passwords against bcrypt hashes. A check costs tens of milliseconds, so that guessing is
 * slow; what was right is remembered under a key of this process alone, so that a scrape doesn't pay it each
 * time. How long a check takes doesn't tell whether there is a user of that name. Any thread.
 */
struct passwords;

/* Remembers nothing yet. NULL: ERROR_IO when there is no randomness for the key. */
struct passwords *passwords_new(struct error *error);

/* Frees it and sets *passwords to NULL; NULL is accepted. */
void passwords_free(struct passwords **passwords);

/* Whether one of the users has this name and password. */
bool passwords_check(struct passwords *passwords, const struct web_pairs *users, const char *name,
                     const char *password);

#endif
