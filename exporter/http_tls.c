#include "exporter/http_tls.h"

#include "exporter/base/file.h"
#include "exporter/base/mem.h"

#include <gnutls/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_CHAIN = 16 };

struct tls {
    gnutls_datum_t certificate, key; /* owned; PEM */
    gnutls_x509_trust_list_t client_cas;
    enum web_client_auth client_auth;
    enum web_tls_version min_version, max_version;
};

/* --- loading ------------------------------------------------------------------------------------------- */

static bool fail(struct error *error, const char *path, int code)
{
    error_set(error, ERROR_USAGE, "%s: %s", path, gnutls_strerror(code));
    return false;
}

static bool load(const char *path, gnutls_datum_t *content, struct error *error)
{
    struct error reason = {0};
    int fd = file_open(path, &reason); /* the library would wait for a FIFO */
    if (fd >= 0)
        (void)close(fd);
    error_clear(&reason);
    if (fd >= 0 && gnutls_load_file(path, content) >= 0)
        return true;
    error_set(error, ERROR_USAGE, "%s can't be read; give a PEM file that the daemon's user may read", path);
    return false;
}

/* Whether the key is the certificate's. */
static bool check_pair(const struct tls *tls, const struct web_config *config, struct error *error)
{
    gnutls_certificate_credentials_t credentials;
    int code = gnutls_certificate_allocate_credentials(&credentials);
    if (code < 0)
        return fail(error, config->cert_file, code);
    code = gnutls_certificate_set_x509_key_mem2(credentials, &tls->certificate, &tls->key,
                                                GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_certificate_free_credentials(credentials);
    if (code < 0)
        error_set(error, ERROR_USAGE, "certificate %s with key %s: %s", config->cert_file, config->key_file,
                  gnutls_strerror(code));
    return code >= 0;
}

static bool load_client_cas(struct tls *tls, const char *path, struct error *error)
{
    gnutls_datum_t content = {0};
    if (!load(path, &content, error))
        return false;
    int code = gnutls_x509_trust_list_init(&tls->client_cas, 0);
    if (code >= 0)
        code =
            gnutls_x509_trust_list_add_trust_mem(tls->client_cas, &content, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    gnutls_free(content.data);
    if (code == 0)
        error_set(error, ERROR_USAGE, "%s holds no certificate in PEM", path);
    return code > 0 || (code < 0 && fail(error, path, code));
}

struct tls *tls_new(const struct web_config *config, struct error *error)
{
    struct tls *tls = MEM_NEW(struct tls);
    tls->client_auth = config->client_auth;
    tls->min_version = config->min_version;
    tls->max_version = config->max_version;
    if (!load(config->cert_file, &tls->certificate, error) || !load(config->key_file, &tls->key, error) ||
        !check_pair(tls, config, error) ||
        (config->client_ca_file != NULL && !load_client_cas(tls, config->client_ca_file, error)))
        tls_free(&tls);
    return tls;
}

void tls_free(struct tls **tls)
{
    struct tls *t = *tls;
    if (t == NULL)
        return;
    if (t->key.data != NULL)
        gnutls_memset(t->key.data, 0, t->key.size);
    gnutls_free(t->key.data);
    gnutls_free(t->certificate.data);
    if (t->client_cas != NULL)
        gnutls_x509_trust_list_deinit(t->client_cas, 1);
    free(t);
    *tls = NULL;
}

/* --- handshakes ---------------------------------------------------------------------------------------- */

/* A reload may have narrowed the versions that the server began with. */
static bool version_allowed(const struct tls *tls, gnutls_session_t session)
{
    enum web_tls_version version =
        gnutls_protocol_get_version(session) == GNUTLS_TLS1_3 ? WEB_TLS_1_3 : WEB_TLS_1_2;
    return version >= tls->min_version && version <= tls->max_version;
}

/* Copies that the library frees when the handshake is over, so that a reload needn't wait for it. */
static int copy_pair(const struct tls *tls, gnutls_pcert_st **certificates, unsigned *count,
                     gnutls_privkey_t *key)
{
    gnutls_pcert_st *chain = gnutls_malloc(LONGEST_CHAIN * sizeof *chain);
    if (chain == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    unsigned length = LONGEST_CHAIN;
    int code = gnutls_pcert_list_import_x509_raw(chain, &length, &tls->certificate, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) {
        gnutls_free(chain);
        return code;
    }
    gnutls_privkey_t copy = NULL;
    code = gnutls_privkey_init(&copy);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(copy, &tls->key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code < 0) {
        for (unsigned i = 0; i < length; i++)
            gnutls_pcert_deinit(&chain[i]);
        gnutls_free(chain);
        if (copy != NULL)
            gnutls_privkey_deinit(copy);
        return code;
    }
    *certificates = chain;
    *count = length;
    *key = copy;
    return 0;
}

int tls_begin(const struct tls *tls, gnutls_session_t session, gnutls_pcert_st **certificates,
              unsigned *certificate_count, gnutls_privkey_t *key, unsigned *flags,
              gnutls_certificate_verify_function *verify)
{
    static const gnutls_certificate_request_t requests[] = {
        [WEB_NO_CLIENT_CERT] = GNUTLS_CERT_IGNORE,
        [WEB_REQUEST_CLIENT_CERT] = GNUTLS_CERT_REQUEST,
        [WEB_REQUIRE_ANY_CLIENT_CERT] = GNUTLS_CERT_REQUIRE,
        [WEB_VERIFY_CLIENT_CERT_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [WEB_REQUIRE_AND_VERIFY_CLIENT_CERT] = GNUTLS_CERT_REQUIRE,
    };
    if (!version_allowed(tls, session))
        return GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
    gnutls_certificate_server_set_request(session, requests[tls->client_auth]);
    gnutls_session_set_verify_function(session, verify);
    *flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
    return copy_pair(tls, certificates, certificate_count, key);
}

static int verify_chain(const struct tls *tls, gnutls_x509_crt_t *chain, unsigned length)
{
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID,
        .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
    };
    unsigned status = 0;
    int code =
        gnutls_x509_trust_list_verify_crt2(tls->client_cas, chain, length, &purpose, 1, 0, &status, NULL);
    return code < 0 ? code : status != 0 ? GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR : 0;
}

int tls_verify_client(const struct tls *tls, gnutls_session_t session)
{
    if (tls->client_cas == NULL)
        return 0; /* any will do */
    unsigned length = 0, read = 0;
    const gnutls_datum_t *sent = gnutls_certificate_get_peers(session, &length);
    if (sent == NULL || length == 0)
        return 0; /* the library has ended the handshake already if there had to be one */
    gnutls_x509_crt_t chain[LONGEST_CHAIN];
    int code = length <= LONGEST_CHAIN ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
    while (code >= 0 && read < length) {
        code = gnutls_x509_crt_init(&chain[read]);
        if (code < 0)
            break;
        code = gnutls_x509_crt_import(chain[read], &sent[read], GNUTLS_X509_FMT_DER);
        read++;
    }
    if (code >= 0)
        code = verify_chain(tls, chain, length);
    for (unsigned i = 0; i < read; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return code;
}

const char *tls_priorities(const struct web_config *config)
{
    if (config->min_version == WEB_TLS_1_3)
        return "NORMAL:-VERS-ALL:+VERS-TLS1.3";
    if (config->max_version == WEB_TLS_1_2)
        return "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
}
