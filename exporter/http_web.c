#include "exporter/http_web.h"

#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/http_tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_AGAIN_US = 1000 * 1000, FILES = 4 };

/* What tells that a file is not the one that was read. */
struct stamp {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

/* What was read at one time; immutable. */
struct state {
    atomic_size_t holders;
    struct web_config config;
    struct tls *tls; /* NULL: none */
};

struct web {
    char *path; /* NULL: there is no file */
    bool has_tls;
    struct passwords *passwords;
    pthread_mutex_t lock; /* guards what follows */
    struct state *state;
    struct stamp stamps[FILES]; /* of the files, when they were last looked at */
    int64_t looked_us;
};

static struct web *process_web;

/* --- states -------------------------------------------------------------------------------------------- */

static void release(struct state *state)
{
    if (state == NULL || atomic_fetch_sub(&state->holders, 1) != 1)
        return;
    tls_free(&state->tls);
    web_config_free(&state->config);
    free(state);
}

static struct state *read_state(const char *path, struct error *error)
{
    struct state *state = MEM_NEW(struct state);
    atomic_init(&state->holders, 1);
    bool done = path == NULL || web_config_read(path, &state->config, error);
    if (done && state->config.cert_file != NULL)
        done = (state->tls = tls_new(&state->config, error)) != NULL;
    if (!done) {
        release(state);
        state = NULL;
    }
    return state;
}

static struct stamp read_stamp(const char *path)
{
    struct stat file;
    if (path == NULL || stat(path, &file) != 0)
        return (struct stamp){.size = -1};
    return (struct stamp){.changed = file.st_mtim, .inode = file.st_ino, .size = file.st_size};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Notes how the files are now; true if one is not as it was. Under the lock. */
static bool look(struct web *web)
{
    const struct web_config *config = &web->state->config;
    const char *const paths[FILES] = {web->path, config->cert_file, config->key_file, config->client_ca_file};
    bool changed = false;
    for (size_t i = 0; i < FILES; i++) {
        struct stamp stamp = read_stamp(paths[i]);
        changed |= !same_stamp(&stamp, &web->stamps[i]);
        web->stamps[i] = stamp;
    }
    web->looked_us = clock_monotonic_us();
    return changed;
}

/* Reads the files and goes over to what they say. Under the lock. */
static bool reload(struct web *web, struct error *error)
{
    struct state *state = read_state(web->path, error);
    if (state != NULL && (state->tls != NULL) != web->has_tls) {
        error_set(error, ERROR_USAGE, "%s: TLS can be switched on and off by a restart only", web->path);
        release(state);
        state = NULL;
    }
    if (state == NULL)
        return false;
    release(web->state);
    web->state = state;
    look(web); /* it may be other files now */
    return true;
}

/* What is in force, to be given back with release(). */
static struct state *hold(struct web *web)
{
    pthread_mutex_lock(&web->lock);
    if (web->path != NULL && clock_monotonic_us() - web->looked_us >= LOOK_AGAIN_US && look(web)) {
        struct error error = {0};
        bool done = reload(web, &error);
        log_event(done ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
                  done ? "web configuration reloaded"
                       : "web configuration not reloaded: the one before stays in force",
                  LOG_FIELDS(log_text("file", web->path),
                             log_text("reason", done ? "it changed" : error_text(&error))));
        error_clear(&error);
    }
    struct state *state = web->state;
    atomic_fetch_add(&state->holders, 1);
    pthread_mutex_unlock(&web->lock);
    return state;
}

struct web *web_start(const char *path, struct error *error)
{
    struct state *state = read_state(path, error);
    struct passwords *passwords = state == NULL ? NULL : passwords_start(error);
    if (passwords == NULL) {
        release(state);
        return NULL;
    }
    struct web *web = MEM_NEW(struct web);
    web->path = path == NULL ? NULL : mem_copy_text(path);
    web->has_tls = state->tls != NULL;
    web->passwords = passwords;
    web->state = state;
    pthread_mutex_init(&web->lock, NULL); /* can't fail with default attributes on Linux */
    look(web);
    process_web = web;
    return web;
}

void web_refuse_unknown(struct web *web)
{
    passwords_stop(web->passwords);
}

void web_stop(struct web **web)
{
    struct web *w = *web;
    if (w == NULL)
        return;
    process_web = NULL;
    release(w->state);
    passwords_free(&w->passwords);
    pthread_mutex_destroy(&w->lock);
    free(w->path);
    free(w);
    *web = NULL;
}

bool web_reload(struct web *web, struct error *error)
{
    pthread_mutex_lock(&web->lock);
    bool done = web->path == NULL || reload(web, error);
    pthread_mutex_unlock(&web->lock);
    return done;
}

/* --- TLS ----------------------------------------------------------------------------------------------- */

bool web_has_tls(const struct web *web)
{
    return web->has_tls;
}

const char *web_priorities(const struct web *web)
{
    return tls_priorities(&web->state->config);
}

static int verify_client(gnutls_session_t session)
{
    struct state *state = hold(process_web);
    int code = state->tls == NULL ? GNUTLS_E_INTERNAL_ERROR : tls_verify_client(state->tls, session);
    release(state);
    return code;
}

int web_choose_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                           gnutls_pcert_st **certificates, unsigned *certificate_count,
                           gnutls_ocsp_data_st **ocsp, unsigned *ocsp_count, gnutls_privkey_t *key,
                           unsigned *flags)
{
    (void)info;
    *ocsp = NULL;
    *ocsp_count = 0;
    struct state *state = hold(process_web);
    int code = state->tls == NULL ? GNUTLS_E_INTERNAL_ERROR
                                  : tls_begin(state->tls, session, certificates, certificate_count, key,
                                              flags, verify_client);
    release(state);
    return code;
}

/* --- requests ------------------------------------------------------------------------------------------ */

static enum admission check_password(struct web *web, const struct web_pairs *users,
                                     struct MHD_Connection *connection, enum admission *later)
{
    char *password = NULL;
    char *name = MHD_basic_auth_get_username_password(connection, &password);
    enum admission admission = REFUSED;
    if (name != NULL && password != NULL)
        admission = passwords_admit(web->passwords, users, name, password, connection, later);
    if (password != NULL)
        gnutls_memset(password, 0, strlen(password));
    MHD_free(password);
    MHD_free(name);
    return admission;
}

enum admission web_admit(struct web *web, struct MHD_Connection *connection, enum admission *later)
{
    struct state *state = hold(web);
    const struct web_pairs *users = &state->config.users;
    enum admission admission = users->count == 0 ? ADMITTED : check_password(web, users, connection, later);
    release(state);
    return admission;
}

static bool replace_header(struct MHD_Response *response, const struct web_pair *header)
{
    const char *before;
    while ((before = MHD_get_response_header(response, header->name)) != NULL)
        if (MHD_del_response_header(response, header->name, before) != MHD_YES)
            break;
    return MHD_add_response_header(response, header->name, header->value) == MHD_YES;
}

bool web_add_headers(struct web *web, struct MHD_Response *response)
{
    struct state *state = hold(web);
    bool added = true;
    for (size_t i = 0; i < state->config.headers.count && added; i++)
        added = replace_header(response, &state->config.headers.pairs[i]);
    release(state);
    return added;
}
