#include "exporter/state_file.h"

#include "exporter/base/buf.h"
#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct state_folder {
    char *path;
    pthread_mutex_t mutex;
    int lock; /* the folder that was locked last */
};

struct state_file {
    struct state_folder *folder;
    char *path;
    int64_t next_us; /* when it is worth the time to save again */
    bool failing;
};

enum { LONGEST_NAME = 66 }; /* each byte may become three of the file's name */

/* A file's name has no "/" and doesn't begin with "."; two sources never have the same. */
static void add_file_name(struct buf *path, const char *source)
{
    for (const char *c = source; *c != '\0'; c++) {
        bool plain = isalnum((unsigned char)*c) || strchr("_-", *c) != NULL || (*c == '.' && c > source);
        if (plain)
            buf_add_char(path, *c);
        else
            buf_add_format(path, "%%%02X", (unsigned char)*c);
    }
    buf_add_text(path, ".history");
}

static bool have_folder(const char *folder, struct error *error)
{
    struct stat found;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        error_set_errno(
            error, ERROR_USAGE, errno,
            "--state-dir %s can't be made; give a folder whose parent is there and can be written", folder);
        return false;
    }
    if (stat(folder, &found) != 0 || !S_ISDIR(found.st_mode) || access(folder, W_OK | X_OK) != 0) {
        error_set(
            error, ERROR_USAGE,
            "--state-dir %s is no folder that can be written to; give one that can, or change its owner",
            folder);
        return false;
    }
    return true;
}

/* The descriptor that holds the lock; -1: ERROR_USAGE. */
static int lock_folder(const char *folder, struct error *error)
{
    if (!have_folder(folder, error))
        return -1;
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock;
    if (lock >= 0 && errno == EWOULDBLOCK)
        error_set(
            error, ERROR_USAGE,
            "--state-dir %s is in use by another tidemark; end that one, or give each a folder of its own",
            folder);
    else
        error_set_errno(error, ERROR_USAGE, errno,
                        "--state-dir %s can't be locked; give a folder on a local disk that can be read",
                        folder);
    if (lock >= 0)
        close(lock);
    return -1;
}

struct state_folder *state_folder_new(const char *path, struct error *error)
{
    int lock = lock_folder(path, error);
    if (lock < 0)
        return NULL;
    struct state_folder *folder = MEM_NEW(struct state_folder);
    folder->path = mem_copy_text(path);
    folder->lock = lock;
    pthread_mutex_init(&folder->mutex, NULL); /* can't fail with default attributes on Linux */
    return folder;
}

void state_folder_free(struct state_folder **folder)
{
    struct state_folder *f = *folder;
    *folder = NULL;
    if (f == NULL)
        return;
    close(f->lock);
    pthread_mutex_destroy(&f->mutex);
    free(f->path);
    free(f);
}

static bool is_same(int lock, const char *path)
{
    struct stat locked, named;
    return fstat(lock, &locked) == 0 && stat(path, &named) == 0 && locked.st_dev == named.st_dev &&
           locked.st_ino == named.st_ino;
}

/* Makes sure that what the path leads to is locked: the folder may have been removed, and made again. The one
 * before stays locked until then, for it may be only out of reach for a moment. */
static bool follow_path(struct state_folder *folder, struct error *error)
{
    pthread_mutex_lock(&folder->mutex);
    bool locked = is_same(folder->lock, folder->path);
    int lock = locked ? -1 : lock_folder(folder->path, error);
    if (lock >= 0) {
        close(folder->lock);
        folder->lock = lock;
        locked = true;
    }
    pthread_mutex_unlock(&folder->mutex);
    return locked;
}

struct state_file *state_file_new(struct state_folder *folder, const char *source, struct error *error)
{
    if (strlen(source) > LONGEST_NAME) {
        error_set(error, ERROR_USAGE, "--state-dir: the source's name is longer than %d bytes; shorten it",
                  LONGEST_NAME);
        return NULL;
    }
    struct buf path = buf_make(SIZE_MAX);
    buf_add_format(&path, "%s/", folder->path);
    add_file_name(&path, source);
    struct state_file *state = MEM_NEW(struct state_file);
    state->folder = folder;
    state->path = mem_copy_str(buf_str(&path));
    buf_free(&path);
    return state;
}

void state_file_free(struct state_file **state)
{
    if (*state == NULL)
        return;
    free((*state)->path);
    free(*state);
    *state = NULL;
}

struct history *state_file_load(const struct state_file *state)
{
    struct error error = {0};
    struct history *history = history_load(state->path, &error);
    if (history == NULL && error.code != ERROR_NOT_FOUND)
        log_event(LOG_LEVEL_WARN, "the past is forgotten: begin anew",
                  LOG_FIELDS(log_text("reason", error_text(&error))));
    error_clear(&error);
    return history != NULL ? history : history_new();
}

void state_file_save(struct state_file *state, const struct history *history, bool soon)
{
    struct error error = {0};
    int64_t start = clock_monotonic_us();
    if (!soon && start < state->next_us)
        return;
    bool saved = follow_path(state->folder, &error) && history_save(history, state->path, &error);
    if (!saved && !state->failing)
        log_event(LOG_LEVEL_ERROR, "the state can't be saved: a restart will forget what comes from now on",
                  LOG_FIELDS(log_text("reason", error_text(&error))));
    else if (saved && state->failing)
        log_event(LOG_LEVEL_INFO, "the state can be saved again", LOG_FIELDS(log_text("file", state->path)));
    error_clear(&error);
    state->failing = !saved;
    int64_t end = clock_monotonic_us();
    state->next_us = end + (end - start); /* at most half of the time */
}
