#include "exporter/http_passwords.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 32, REMEMBERED = 64, LONGEST = 64 * 1024 };

struct passwords {
    unsigned char key[DIGEST];
    pthread_mutex_t lock; /* guards what follows */
    unsigned char right[REMEMBERED][DIGEST];
    size_t count, next;
};

/* Of no user's password: for names that nobody has. Of the cost that htpasswd's -C 10 gives. */
static const char nobodys_hash[] = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

struct passwords *passwords_new(struct error *error)
{
    struct passwords *passwords = MEM_NEW(struct passwords);
    pthread_mutex_init(&passwords->lock, NULL); /* can't fail with default attributes on Linux */
    int code = gnutls_rnd(GNUTLS_RND_KEY, passwords->key, sizeof passwords->key);
    if (code < 0) {
        error_set(error, ERROR_IO, "no random key for passwords: %s", gnutls_strerror(code));
        passwords_free(&passwords);
    }
    return passwords;
}

void passwords_free(struct passwords **passwords)
{
    struct passwords *p = *passwords;
    if (p == NULL)
        return;
    pthread_mutex_destroy(&p->lock);
    gnutls_memset(p, 0, sizeof *p);
    free(p);
    *passwords = NULL;
}

/* Of hash and password together: a user whose hash changes has to be checked anew. */
static bool digest(const struct passwords *passwords, const char *hash, const char *password,
                   unsigned char *result)
{
    struct buf text = buf_make(LONGEST);
    buf_add_text(&text, hash); /* of one length, so nothing needs to stand between */
    buf_add_text(&text, password);
    bool done = buf_ok(&text) && gnutls_hmac_fast(GNUTLS_MAC_SHA256, passwords->key, sizeof passwords->key,
                                                  text.bytes, text.length, result) >= 0;
    if (text.bytes != NULL)
        gnutls_memset(text.bytes, 0, text.length);
    buf_free(&text);
    return done;
}

static bool is_remembered(struct passwords *passwords, const unsigned char *wanted)
{
    bool found = false;
    pthread_mutex_lock(&passwords->lock);
    for (size_t i = 0; i < passwords->count; i++)
        found |= gnutls_memcmp(passwords->right[i], wanted, DIGEST) == 0;
    pthread_mutex_unlock(&passwords->lock);
    return found;
}

static void remember(struct passwords *passwords, const unsigned char *right)
{
    pthread_mutex_lock(&passwords->lock);
    memcpy(passwords->right[passwords->next], right, DIGEST);
    passwords->next = (passwords->next + 1) % REMEMBERED;
    if (passwords->count < REMEMBERED)
        passwords->count++;
    pthread_mutex_unlock(&passwords->lock);
}

static bool matches(const char *hash, const char *password)
{
    struct crypt_data *work = MEM_NEW(struct crypt_data);
    const char *made = crypt_r(password, hash, work);
    bool same = made != NULL && strlen(made) == strlen(hash) && gnutls_memcmp(made, hash, strlen(hash)) == 0;
    gnutls_memset(work, 0, sizeof *work);
    free(work);
    return same;
}

bool passwords_check(struct passwords *passwords, const struct web_pairs *users, const char *name,
                     const char *password)
{
    const char *hash = nobodys_hash;
    bool known = false;
    for (size_t i = 0; i < users->count; i++) {
        if (strcmp(users->pairs[i].name, name) == 0) {
            hash = users->pairs[i].value;
            known = true;
        }
    }
    unsigned char wanted[DIGEST];
    if (!digest(passwords, hash, password, wanted))
        return false;
    if (known && is_remembered(passwords, wanted))
        return true;
    bool right = matches(hash, password) && known;
    if (right)
        remember(passwords, wanted);
    return right;
}
