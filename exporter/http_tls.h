#ifndef TIDEMARK_HTTP_TLS_H
#define TIDEMARK_HTTP_TLS_H

#include "exporter/base/error.h"
#include "exporter/config_web.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

/* A certificate with its key, and what a client's certificate has to be. Immutable. */
struct tls;

/* Reads the files that the configuration names. NULL: ERROR_USAGE that names the file. */
struct tls *tls_new(const struct web_config *config, struct error *error);

/* Frees it and sets *tls to NULL; NULL is accepted. */
void tls_free(struct tls **tls);

/* In a handshake, once the client has said hello: sets what is asked of its certificate, and gives ours, as
 * gnutls_certificate_retrieve_function3 has it. */
int tls_begin(const struct tls *tls, gnutls_session_t session, gnutls_pcert_st **certificates,
              unsigned *certificate_count, gnutls_privkey_t *key, unsigned *flags,
              gnutls_certificate_verify_function *verify);

/* In a handshake, for a certificate of the client: 0, or an error that ends it. */
int tls_verify_client(const struct tls *tls, gnutls_session_t session);

/* The versions to be spoken, for gnutls_priority_set(). */
const char *tls_priorities(const struct web_config *config);

#endif
