#include "exporter/recorder.h"

#include "exporter/base/buf.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/observations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct recorder {
    char *path;
    int fd;
    bool failing;
};

static bool lock(const struct recorder *recorder, int how)
{
    int done;
    do
        done = flock(recorder->fd, how);
    while (done != 0 && errno == EINTR);
    return done == 0;
}

/* Takes away what follows the last newline; false with errno. */
static bool end_with_whole_line(const struct recorder *recorder)
{
    char piece[4096];
    off_t end = lseek(recorder->fd, 0, SEEK_END), at = end;
    while (at > 0) {
        size_t size = at < (off_t)sizeof piece ? (size_t)at : sizeof piece;
        at -= (off_t)size;
        if (pread(recorder->fd, piece, size, at) != (ssize_t)size)
            return false;
        const char *newline = memrchr(piece, '\n', size);
        if (newline != NULL) {
            at += newline - piece + 1;
            break;
        }
    }
    return end >= 0 && (at == end || ftruncate(recorder->fd, at) == 0);
}

/* Opens the file, and makes it where it isn't there; false with errno. */
static bool open_file(struct recorder *recorder)
{
    recorder->fd = open(recorder->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return recorder->fd >= 0 && lock(recorder, LOCK_EX) && end_with_whole_line(recorder) &&
           lock(recorder, LOCK_UN);
}

/* Whether the path still leads to what is open: it may have been removed, or moved away and be another's. */
static bool is_there(const struct recorder *recorder)
{
    struct stat named, opened;
    return recorder->fd >= 0 && fstat(recorder->fd, &opened) == 0 && stat(recorder->path, &named) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

static void close_file(struct recorder *recorder)
{
    if (recorder->fd >= 0)
        (void)close(recorder->fd); /* each line was written whole, or its failure was logged */
    recorder->fd = -1;
}

static bool follow_path(struct recorder *recorder)
{
    if (is_there(recorder))
        return true;
    close_file(recorder);
    return open_file(recorder);
}

struct recorder *recorder_new(const char *path, struct error *error)
{
    struct recorder *recorder = MEM_NEW(struct recorder);
    recorder->path = mem_copy_text(path);
    if (!open_file(recorder)) {
        error_set_errno(error, ERROR_USAGE, errno,
                        "--record %s: it can't be written; give a file in a folder that can", path);
        recorder_free(&recorder);
    }
    return recorder;
}

/* All of it, or nothing; false with errno. */
static bool append(const struct recorder *recorder, const struct buf *line)
{
    off_t before = lseek(recorder->fd, 0, SEEK_END);
    size_t done = 0;
    while (before >= 0 && done < line->length) {
        ssize_t written = write(recorder->fd, line->bytes + done, line->length - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            int reason = written == 0 ? ENOSPC : errno;
            (void)!ftruncate(recorder->fd, before); /* if it fails, opening mends it */
            errno = reason;
            return false;
        }
    }
    return before >= 0;
}

void recorder_add(struct recorder *recorder, struct str cluster, const struct snapshot *snapshot)
{
    struct buf line = buf_make(SIZE_MAX);
    observation_write(&line, cluster, snapshot);
    errno = ENOMEM;
    bool done = buf_ok(&line) && follow_path(recorder) && lock(recorder, LOCK_EX) && append(recorder, &line);
    int reason = errno;
    (void)lock(recorder, LOCK_UN); /* closing unlocks, too */
    if (!done && !recorder->failing)
        log_event(LOG_LEVEL_ERROR, "what is observed can't be recorded",
                  LOG_FIELDS(log_text("file", recorder->path), log_text("reason", strerror(reason))));
    else if (done && recorder->failing)
        log_event(LOG_LEVEL_INFO, "recording goes on", LOG_FIELDS(log_text("file", recorder->path)));
    recorder->failing = !done;
    buf_free(&line);
}

void recorder_free(struct recorder **recorder)
{
    if (*recorder == NULL)
        return;
    close_file(*recorder);
    free((*recorder)->path);
    free(*recorder);
    *recorder = NULL;
}
