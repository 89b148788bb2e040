#ifndef TIDEMARK_BASE_ERROR_H
#define TIDEMARK_BASE_ERROR_H

/*
 * An error is a code for programs and a text for people. The function that fails sets it, each caller that
 * passes it on wraps it with what it was doing, so the text reads from the outside in:
 *
 *     source "demo": open log store "var/log": topic "orders": bad CRC at 4096 in 0000.log
 *
 * Functions that can fail return bool (true: done) or a pointer (NULL: failed) and take a `struct error *`
 * that is never NULL. On success they leave it untouched.
 */

enum error_code {
    ERROR_NONE = 0,
    ERROR_USAGE,       /* what the user wrote is wrong: arguments, configuration, names */
    ERROR_NOT_FOUND,   /* the thing asked for isn't there */
    ERROR_EXISTS,      /* the thing to be made is there already */
    ERROR_CONFLICT,    /* refused because of the present state, e.g. a commit from an old generation */
    ERROR_CORRUPT,     /* bytes that can't be what was written */
    ERROR_UNSUPPORTED, /* a version or feature that this build doesn't know */
    ERROR_UNAVAILABLE, /* it may work later: a broker is down, a time-out, a disk is full */
    ERROR_DENIED,      /* permission is missing */
    ERROR_IO,          /* the operating system said no; the text ends with its reason */
    ERROR_MEMORY,      /* no memory, or a size over its limit */
};

/* Owned by the caller: start with `struct error error = {0};`, end with error_clear(). */
struct error {
    enum error_code code;
    char *text; /* owned; NULL when there is no error, or no memory for a text */
};

/* Sets code and text, replacing what was there. */
void error_set(struct error *error, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like error_set(), with ": " and the meaning of `system_errno` appended. */
void error_set_errno(struct error *error, enum error_code code, int system_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts the formatted text and ": " in front of the text that is there; the code stays. */
void error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text, never NULL; valid until the error is changed or cleared. */
const char *error_text(const struct error *error);

/* Back to "no error"; frees the text. */
void error_clear(struct error *error);

#endif
