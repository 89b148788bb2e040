#include "exporter/config_secret.h"

#include "exporter/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MOST = 64 * 1024 };

/* Reads up to `most` bytes; returns how many, or -1 with errno. */
static long read_all(const char *path, char *text, size_t most)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    size_t length = fread(text, 1, most, file);
    int reason = ferror(file) ? errno : 0;
    fclose(file); /* nothing was written */
    errno = reason;
    return reason == 0 ? (long)length : -1;
}

static char *without_line_break(char *text, size_t length)
{
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    return text;
}

char *config_secret_file(const char *path, struct error *error)
{
    char *text = MEM_ARRAY(SECRET_MOST + 2, char);
    long length = read_all(path, text, SECRET_MOST + 1);
    if (length < 0)
        error_set_errno(error, ERROR_USAGE, errno, "%s can't be read", path);
    else if (length > SECRET_MOST)
        error_set(error, ERROR_USAGE, "%s is longer than %d bytes", path, SECRET_MOST);
    else if (strlen(text) != (size_t)length)
        error_set(error, ERROR_USAGE, "%s holds a NUL byte, which no property can", path);
    else
        return without_line_break(text, (size_t)length);
    free(text);
    return NULL;
}

char *config_secret_environment(const char *name, struct error *error)
{
    const char *value = getenv(name);
    if (value != NULL)
        return mem_copy_text(value);
    error_set(error, ERROR_USAGE, "the environment variable \"%s\" isn't set", name);
    return NULL;
}
