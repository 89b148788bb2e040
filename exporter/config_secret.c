#include "exporter/config_secret.h"

#include "exporter/base/buf.h"
#include "exporter/base/file.h"
#include "exporter/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MOST = 64 * 1024 };

/* Reads the file; false with an error. */
static bool read_secret(const char *path, struct buf *text, struct error *error)
{
    int fd = file_open(path, error);
    if (fd < 0) {
        error_wrap(error, "%s can't be read", path);
        error->code = ERROR_USAGE;
        return false;
    }
    bool done = file_read(fd, text);
    if (!done)
        error_set_errno(error, ERROR_USAGE, errno, "%s can't be read", path);
    (void)close(fd); /* nothing was written */
    return done;
}

char *config_secret_file(const char *path, struct error *error)
{
    struct buf text = buf_make(SECRET_MOST);
    char *secret = NULL;
    if (read_secret(path, &text, error)) {
        if (!buf_ok(&text))
            error_set(error, ERROR_USAGE, "%s is longer than %d bytes", path, SECRET_MOST);
        else if (text.length > 0 && memchr(text.bytes, '\0', text.length) != NULL)
            error_set(error, ERROR_USAGE, "%s holds a NUL byte, which no property can", path);
        else {
            text.length -= text.length > 0 && text.bytes[text.length - 1] == '\n';
            secret = mem_copy_str(buf_str(&text));
        }
    }
    buf_free(&text);
    return secret;
}

char *config_secret_environment(const char *name, struct error *error)
{
    const char *value = getenv(name);
    if (value != NULL)
        return mem_copy_text(value);
    error_set(error, ERROR_USAGE, "the environment variable \"%s\" isn't set", name);
    return NULL;
}
