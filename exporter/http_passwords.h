#ifndef TIDEMARK_HTTP_PASSWORDS_H
#define TIDEMARK_HTTP_PASSWORDS_H

#include "exporter/base/error.h"
#include "exporter/config_web.h"

#include <microhttpd.h>

/*
 * Checks names and passwords against bcrypt hashes. A check costs tens of milliseconds, so that guessing is
 * slow; what was right is remembered under a key of this process alone, so that a scrape doesn't pay it each
 * time. Checks are made one at a time in a thread of their own while who asked for them waits: guessing takes
 * no more than that thread, and holds up nobody who is known already. How long a check takes doesn't tell
 * whether there is a user of that name. Any thread.
 */
struct passwords;

/* Whether a request may be answered. */
enum admission { ADMISSION_UNKNOWN, ADMITTED, REFUSED };

/* Starts the thread, and remembers nothing yet. NULL: ERROR_IO when there can be none, or no randomness for
 * the key. */
struct passwords *passwords_start(struct error *error);

/* Lets all who wait go, refused: from now on only what is remembered is right. The thread ends with the check
 * that it is in the midst of, for which nobody waits. To be called before the server is stopped, which must
 * not have anybody waiting. */
void passwords_stop(struct passwords *passwords);

/* Frees it, stopped (or leaves that to the thread, which may be in the midst of a check), and sets *passwords
 * to NULL; NULL is accepted. */
void passwords_free(struct passwords **passwords);

/* Whether one of the users, of whom there is one at least, has this name and password. ADMISSION_UNKNOWN: the
 * connection was suspended, and is resumed when *later says it; *later lives until then. */
enum admission passwords_admit(struct passwords *passwords, const struct web_pairs *users, const char *name,
                               const char *password, struct MHD_Connection *connection,
                               enum admission *later);

#endif
