#ifndef TIDEMARK_HTTP_WEB_H
#define TIDEMARK_HTTP_WEB_H

#include "exporter/base/error.h"
#include "exporter/config_web.h"
#include "exporter/http_passwords.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdbool.h>

/*
 * The protection that is in force: TLS, passwords and headers. The files that it comes from are looked at
 * again as they are used, at most once a second, as Prometheus does, so a certificate that is renewed needs
 * no reload. There is one in a process, since the TLS library's callbacks have no other way to it.
 */
struct web;

/* Reads the web configuration file; NULL `path`: no TLS, no passwords. NULL: ERROR_USAGE that names file,
 * place and remedy. */
struct web *web_start(const char *path, struct error *error);

/* Lets go those who wait for their password to be checked; from now on only those that were right before are.
 * To be called before the server is stopped, which must not have anybody waiting. */
void web_refuse_unknown(struct web *web);

/* After web_refuse_unknown() and the end of the server's threads; sets *web to NULL; NULL is accepted. */
void web_stop(struct web **web);

/* Reads the files again. False: what was in force stays. Any thread. */
bool web_reload(struct web *web, struct error *error);

/* Whether it began with TLS, which a reload can't change; what the library is then started with. */
bool web_has_tls(const struct web *web);
const char *web_priorities(const struct web *web);
gnutls_certificate_retrieve_function3 web_choose_certificate;

/* Whether the request has a right name and password, or needs none. ADMISSION_UNKNOWN: the connection was
 * suspended, and is resumed when *later says it; *later lives until then. Any thread. */
enum admission web_admit(struct web *web, struct MHD_Connection *connection, enum admission *later);

/* Puts the configured headers on an answer, in the place of those of the same name. Any thread. */
bool web_add_headers(struct web *web, struct MHD_Response *response);

#endif
