#ifndef TIDEMARK_CONFIG_WEB_H
#define TIDEMARK_CONFIG_WEB_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * How the HTTP server is protected, in the format of Prometheus' own web configuration file
 * (https://prometheus.io/docs/prometheus/latest/configuration/https/), so that one file can serve both. Of
 * its keys, those that choose cipher suites and curves are refused: the TLS library's own choice is kept up
 * to date with it.
 */

enum web_client_auth {
    WEB_NO_CLIENT_CERT,
    WEB_REQUEST_CLIENT_CERT,
    WEB_REQUIRE_ANY_CLIENT_CERT,
    WEB_VERIFY_CLIENT_CERT_IF_GIVEN,
    WEB_REQUIRE_AND_VERIFY_CLIENT_CERT,
};

/* In this order. What is older isn't spoken. */
enum web_tls_version { WEB_TLS_1_2, WEB_TLS_1_3 };

struct web_pair {
    char *name, *value; /* owned */
};

struct web_pairs {
    struct web_pair *pairs; /* owned */
    size_t count;
};

struct web_config {
    /* Owned paths, from the folder of the file; NULL: not given. Without a certificate there is no TLS. */
    char *cert_file, *key_file, *client_ca_file;
    enum web_client_auth client_auth;
    enum web_tls_version min_version, max_version;
    struct web_pairs users;   /* names and their passwords' bcrypt hashes; none: everybody may read */
    struct web_pairs headers; /* of every answer */
};

/* Reads the file into *config, to be freed with web_config_free() in any case. */
bool web_config_read(const char *path, struct web_config *config, struct error *error);

void web_config_free(struct web_config *config);

#endif
