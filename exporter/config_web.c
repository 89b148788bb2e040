#include "exporter/config_web.h"

#include "exporter/base/mem.h"
#include "exporter/config_reader.h"
#include "exporter/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- TLS ----------------------------------------------------------------------------------------------- */

/* A path that is not absolute starts where the file is. */
static char *resolve(const struct config_reader *reader, const char *path)
{
    const char *slash = strrchr(reader->name, '/');
    if (path[0] == '/' || slash == NULL)
        return mem_copy_text(path);
    struct buf whole = buf_make(1024 * 1024);
    buf_add(&whole, reader->name, (size_t)(slash + 1 - reader->name));
    buf_add_text(&whole, path);
    char *resolved = mem_copy_str(buf_str(&whole));
    buf_free(&whole);
    return resolved;
}

static bool read_path(struct config_reader *reader, const json_t *value, char **path)
{
    const char *text = config_read_value_text(reader, value, "server.crt");
    if (text == NULL)
        return false;
    free(*path);
    *path = resolve(reader, text);
    return true;
}

static bool read_cert_file(struct config_reader *reader, json_t *value, void *config)
{
    return read_path(reader, value, &((struct web_config *)config)->cert_file);
}

static bool read_key_file(struct config_reader *reader, json_t *value, void *config)
{
    return read_path(reader, value, &((struct web_config *)config)->key_file);
}

static bool read_client_ca_file(struct config_reader *reader, json_t *value, void *config)
{
    return read_path(reader, value, &((struct web_config *)config)->client_ca_file);
}

/* The place of the text in `names`, which ends with NULL; -1 with the error. */
static int read_choice(struct config_reader *reader, const json_t *value, const char *const *names)
{
    const char *text = config_read_value_text(reader, value, names[0]);
    if (text == NULL)
        return -1;
    struct buf all = buf_make(1024);
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            buf_free(&all);
            return i;
        }
        buf_add_format(&all, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    config_fail(reader, "\"%s\" is none of %.*s", text, (int)all.length, all.bytes);
    buf_free(&all);
    return -1;
}

static bool read_client_auth_type(struct config_reader *reader, json_t *value, void *config)
{
    static const char *const names[] = {
        [WEB_NO_CLIENT_CERT] = "NoClientCert",
        [WEB_REQUEST_CLIENT_CERT] = "RequestClientCert",
        [WEB_REQUIRE_ANY_CLIENT_CERT] = "RequireAnyClientCert",
        [WEB_VERIFY_CLIENT_CERT_IF_GIVEN] = "VerifyClientCertIfGiven",
        [WEB_REQUIRE_AND_VERIFY_CLIENT_CERT] = "RequireAndVerifyClientCert",
        NULL,
    };
    int choice = read_choice(reader, value, names);
    if (choice >= 0)
        ((struct web_config *)config)->client_auth = (enum web_client_auth)choice;
    return choice >= 0;
}

static bool read_version(struct config_reader *reader, const json_t *value, enum web_tls_version *version)
{
    static const char *const names[] = {"TLS12", "TLS13", "TLS11", "TLS10", NULL};
    int choice = read_choice(reader, value, names);
    if (choice >= 0)
        *version = choice == 1 ? WEB_TLS_1_3 : WEB_TLS_1_2;
    return choice >= 0;
}

static bool read_min_version(struct config_reader *reader, json_t *value, void *config)
{
    return read_version(reader, value, &((struct web_config *)config)->min_version);
}

static bool read_max_version(struct config_reader *reader, json_t *value, void *config)
{
    return read_version(reader, value, &((struct web_config *)config)->max_version);
}

static bool refuse_choice_of_ciphers(struct config_reader *reader, json_t *value, void *config)
{
    (void)value, (void)config;
    return config_fail(reader, "can't be chosen here; remove it: the TLS library's own choice is used");
}

static const struct config_key tls_keys[] = {
    {"cert_file", read_cert_file, CONFIG_TEXT, NULL, NULL},
    {"key_file", read_key_file, CONFIG_TEXT, NULL, NULL},
    {"client_ca_file", read_client_ca_file, CONFIG_TEXT, NULL, NULL},
    {"client_auth_type", read_client_auth_type, CONFIG_TEXT, NULL, NULL},
    {"min_version", read_min_version, CONFIG_TEXT, NULL, NULL},
    {"max_version", read_max_version, CONFIG_TEXT, NULL, NULL},
    {"cipher_suites", refuse_choice_of_ciphers, CONFIG_TEXT, NULL, NULL},
    {"curve_preferences", refuse_choice_of_ciphers, CONFIG_TEXT, NULL, NULL},
    {"prefer_server_cipher_suites", refuse_choice_of_ciphers, CONFIG_TEXT, NULL, NULL},
    CONFIG_LAST_KEY,
};

static bool read_tls(struct config_reader *reader, json_t *value, void *target)
{
    struct web_config *config = target;
    if (!config_read_object(reader, value, tls_keys, config))
        return false;
    if (config->cert_file == NULL || config->key_file == NULL)
        return config_fail(reader, "TLS needs both cert_file and key_file");
    bool verifies = config->client_auth == WEB_VERIFY_CLIENT_CERT_IF_GIVEN ||
                    config->client_auth == WEB_REQUIRE_AND_VERIFY_CLIENT_CERT;
    if (verifies && config->client_ca_file == NULL)
        return config_fail(reader, "this client_auth_type needs a client_ca_file");
    if (!verifies && config->client_ca_file != NULL)
        return config_fail(reader, "client_ca_file needs a client_auth_type that verifies, such as "
                                   "RequireAndVerifyClientCert");
    if (config->min_version > config->max_version)
        return config_fail(reader, "min_version is above max_version");
    return true;
}

/* --- HTTP and passwords -------------------------------------------------------------------------------- */

/* Reads an object of texts; `check` complains about a pair. */
static bool read_pairs(struct config_reader *reader, json_t *value, struct web_pairs *pairs,
                       bool (*check)(struct config_reader *reader, const char *name, const char *value))
{
    if (json_is_null(value))
        return true;
    if (!json_is_object(value))
        return config_fail(reader, "expected an object, {…}, not %s", config_type_name(value));
    pairs->pairs = MEM_ARRAY(json_object_size(value), struct web_pair);
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        const char *text = json_string_value(member);
        if (text == NULL)
            return config_fail(reader, "expected a text, not %s", config_type_name(member));
        if (!check(reader, name, text))
            return false;
        pairs->pairs[pairs->count++] = (struct web_pair){mem_copy_text(name), mem_copy_text(text)};
        reader->path.length = length;
    }
    return true;
}

/* RFC 9110, sections 5.1 and 5.5: a name is a token, a value has no control characters. */
static bool check_header(struct config_reader *reader, const char *name, const char *value)
{
    static const char token[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    if (name[0] == '\0' || name[strspn(name, token)] != '\0')
        return config_fail(reader, "this is no name of a header");
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return config_fail(reader, "the header's value has a control character");
    return true;
}

static bool read_headers(struct config_reader *reader, json_t *value, void *config)
{
    return read_pairs(reader, value, &((struct web_config *)config)->headers, check_header);
}

/* Prometheus' own switch. Only HTTP/1.1 is spoken here, whatever it says. */
static bool read_http2(struct config_reader *reader, json_t *value, void *config)
{
    (void)config;
    return json_is_boolean(value) ||
           config_fail(reader, "expected true or false, not %s", config_type_name(value));
}

static const struct config_key http_keys[] = {
    {"http2", read_http2, CONFIG_TEXT, NULL, NULL},
    {"headers", read_headers, CONFIG_TEXT, NULL, NULL},
    CONFIG_LAST_KEY,
};

static bool read_http(struct config_reader *reader, json_t *value, void *config)
{
    return config_read_object(reader, value, http_keys, config);
}

/* $2a$, $2b$ or $2y$, two digits of cost from 04 to 31, $, and 53 characters. What is wrong with it isn't
 * shown: it might be a password. */
static bool check_user(struct config_reader *reader, const char *name, const char *hash)
{
    static const char characters[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    bool right = strlen(hash) == 60 && strncmp(hash, "$2", 2) == 0 && strchr("aby", hash[2]) != NULL &&
                 hash[3] == '$' && strspn(hash + 4, "0123456789") == 2 && hash[6] == '$' &&
                 strspn(hash + 7, characters) == 53 && atoi(hash + 4) >= 4 && atoi(hash + 4) <= 31;
    if (!right)
        return config_fail(reader,
                           "expected the password's bcrypt hash, as `htpasswd -nBC 10 \"\"` prints it");
    if (name[0] == '\0' || strchr(name, ':') != NULL)
        return config_fail(reader, "the name of a user can't be empty or have a colon in it");
    return true;
}

static bool read_users(struct config_reader *reader, json_t *value, void *config)
{
    return read_pairs(reader, value, &((struct web_config *)config)->users, check_user);
}

/* --- the file ------------------------------------------------------------------------------------------ */

static const struct config_key web_keys[] = {
    {"tls_server_config", read_tls, CONFIG_TEXT, NULL, NULL},
    {"http_server_config", read_http, CONFIG_TEXT, NULL, NULL},
    {"basic_auth_users", read_users, CONFIG_TEXT, NULL, NULL},
    CONFIG_LAST_KEY,
};

bool web_config_read(const char *path, struct web_config *config, struct error *error)
{
    *config = (struct web_config){.max_version = WEB_TLS_1_3};
    return config_read_whole_file(path, web_keys, config, error);
}

static void free_pairs(struct web_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->pairs[i].name);
        free(pairs->pairs[i].value);
    }
    free(pairs->pairs);
}

void web_config_free(struct web_config *config)
{
    free(config->cert_file);
    free(config->key_file);
    free(config->client_ca_file);
    free_pairs(&config->users);
    free_pairs(&config->headers);
    *config = (struct web_config){0};
}
