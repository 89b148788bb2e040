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

/* A password that is to be checked. Their number is bounded by that of the connections. */
struct check {
    struct check *next;
    struct MHD_Connection *connection; /* NULL: nobody waits for it any more */
    enum admission *later;
    char *hash, *password;
    bool known; /* there is a user of that name; else the hash is another's, and nothing is right */
    unsigned char digest[DIGEST];
};

struct passwords {
    unsigned char key[DIGEST];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct check *first, **end; /* those that wait, the oldest first */
    struct check *under_way;    /* the thread's own; NULL: none */
    unsigned char right[REMEMBERED][DIGEST];
    size_t count, next;
    bool stop;
    unsigned owners; /* its user, and the thread: the last frees it */
};

/* --- what was right ------------------------------------------------------------------------------------ */

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

/* With the lock held. */
static bool is_remembered(const struct passwords *passwords, const unsigned char *wanted)
{
    bool found = false;
    for (size_t i = 0; i < passwords->count; i++)
        found |= gnutls_memcmp(passwords->right[i], wanted, DIGEST) == 0;
    return found;
}

/* With the lock held. */
static void remember(struct passwords *passwords, const unsigned char *right)
{
    memcpy(passwords->right[passwords->next], right, DIGEST);
    passwords->next = (passwords->next + 1) % REMEMBERED;
    if (passwords->count < REMEMBERED)
        passwords->count++;
}

/* --- checking ------------------------------------------------------------------------------------------ */

static bool matches(const char *hash, const char *password)
{
    struct crypt_data *work = MEM_NEW(struct crypt_data);
    const char *made = crypt_r(password, hash, work);
    bool same = made != NULL && strlen(made) == strlen(hash) && gnutls_memcmp(made, hash, strlen(hash)) == 0;
    gnutls_memset(work, 0, sizeof *work);
    free(work);
    return same;
}

/* With the lock held: who waits for it goes on. */
static void let_go(struct check *check, enum admission admission)
{
    if (check->connection == NULL)
        return;
    *check->later = admission;
    MHD_resume_connection(check->connection);
    check->connection = NULL;
}

static void free_check(struct check *check)
{
    gnutls_memset(check->password, 0, strlen(check->password));
    free(check->password);
    free(check->hash);
    free(check);
}

/* With the lock held. NULL: nothing waits. */
static struct check *take_check(struct passwords *passwords)
{
    struct check *check = passwords->first;
    if (check == NULL)
        return NULL;
    passwords->first = check->next;
    if (passwords->first == NULL)
        passwords->end = &passwords->first;
    return check;
}

/* With the lock held, but not while it computes. */
static void decide(struct passwords *passwords, struct check *check)
{
    passwords->under_way = check;
    pthread_mutex_unlock(&passwords->lock);
    bool right = matches(check->hash, check->password) && check->known;
    pthread_mutex_lock(&passwords->lock);
    passwords->under_way = NULL;
    if (right && !is_remembered(passwords, check->digest))
        remember(passwords, check->digest);
    let_go(check, right ? ADMITTED : REFUSED);
    free_check(check);
}

static void *run(void *context)
{
    struct passwords *passwords = context;
    pthread_mutex_lock(&passwords->lock);
    while (!passwords->stop) {
        struct check *check = take_check(passwords);
        if (check != NULL)
            decide(passwords, check);
        else
            pthread_cond_wait(&passwords->changed, &passwords->lock);
    }
    pthread_mutex_unlock(&passwords->lock);
    passwords_free(&passwords);
    return NULL;
}

/* With the lock held. */
static void wait_for_check(struct passwords *passwords, struct check check)
{
    struct check *waiting = MEM_NEW(struct check);
    *waiting = check;
    MHD_suspend_connection(check.connection);
    *passwords->end = waiting;
    passwords->end = &waiting->next;
    pthread_cond_signal(&passwords->changed);
}

enum admission passwords_admit(struct passwords *passwords, const struct web_pairs *users, const char *name,
                               const char *password, struct MHD_Connection *connection, enum admission *later)
{
    /* For a name that nobody has somebody's hash is tried, which takes as long as one that is somebody's. */
    const char *hash = users->pairs[0].value;
    struct check check = {.connection = connection, .later = later};
    for (size_t i = 0; i < users->count; i++) {
        if (strcmp(users->pairs[i].name, name) == 0) {
            hash = users->pairs[i].value;
            check.known = true;
        }
    }
    if (!digest(passwords, hash, password, check.digest))
        return REFUSED;
    enum admission admission = REFUSED;
    pthread_mutex_lock(&passwords->lock);
    if (check.known && is_remembered(passwords, check.digest)) {
        admission = ADMITTED;
    } else if (!passwords->stop) {
        check.hash = mem_copy_text(hash);
        check.password = mem_copy_text(password);
        wait_for_check(passwords, check);
        admission = ADMISSION_UNKNOWN;
    }
    pthread_mutex_unlock(&passwords->lock);
    return admission;
}

/* --- its life ------------------------------------------------------------------------------------------ */

/* Detached: a hash of the highest cost takes days to check, and nobody waits so long for the thread's end. */
static bool start_thread(struct passwords *passwords, struct error *error)
{
    pthread_t thread;
    passwords->owners++;
    int code = pthread_create(&thread, NULL, run, passwords);
    if (code == 0) {
        pthread_detach(thread); /* can't fail for a thread that was started and never joined */
        return true;
    }
    passwords->owners--;
    error_set_errno(error, ERROR_IO, code, "start the thread that checks passwords");
    return false;
}

struct passwords *passwords_start(struct error *error)
{
    struct passwords *passwords = MEM_NEW(struct passwords);
    passwords->end = &passwords->first;
    passwords->owners = 1;
    pthread_mutex_init(&passwords->lock, NULL); /* neither can fail with default attributes on Linux */
    pthread_cond_init(&passwords->changed, NULL);
    int code = gnutls_rnd(GNUTLS_RND_KEY, passwords->key, sizeof passwords->key);
    if (code < 0)
        error_set(error, ERROR_IO, "no random key for passwords: %s", gnutls_strerror(code));
    else if (start_thread(passwords, error))
        return passwords;
    passwords_free(&passwords);
    return NULL;
}

void passwords_stop(struct passwords *passwords)
{
    struct check *check;
    pthread_mutex_lock(&passwords->lock);
    passwords->stop = true;
    while ((check = take_check(passwords)) != NULL) {
        let_go(check, REFUSED);
        free_check(check);
    }
    if (passwords->under_way != NULL)
        let_go(passwords->under_way, REFUSED);
    pthread_cond_signal(&passwords->changed);
    pthread_mutex_unlock(&passwords->lock);
}

void passwords_free(struct passwords **passwords)
{
    struct passwords *p = *passwords;
    *passwords = NULL;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    bool last = --p->owners == 0;
    pthread_mutex_unlock(&p->lock);
    if (!last)
        return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    gnutls_memset(p, 0, sizeof *p);
    free(p);
}
