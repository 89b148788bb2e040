#include "exporter/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, struct error *error)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode))
        return fd;
    int reason = errno;
    if (fd >= 0)
        error_set(error, ERROR_IO, "it is no regular file");
    else
        error_set(error, reason == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, "%s", strerror(reason));
    if (fd >= 0)
        (void)close(fd); /* nothing was written */
    return -1;
}

bool file_read(int fd, struct buf *content)
{
    char piece[16 * 1024];
    ssize_t got = 1;
    while (got != 0 && buf_ok(content)) {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            buf_add(content, piece, (size_t)got);
        else if (got < 0 && errno != EINTR)
            return false;
    }
    return true;
}
