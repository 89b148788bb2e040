#ifndef LOGSTORE_FSIO_H
#define LOGSTORE_FSIO_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Every file operation of the store goes through here, so that there is one place where errors get their text
 * and code, and one seam where tests make them happen.
 */

/* An open file with the name that errors call it by. */
struct file {
    int fd;     /* -1: not open */
    char *name; /* owned; relative to the store */
};

#define FILE_CLOSED ((struct file){-1, NULL})

/* Opens `name` below the folder `directory`; `flags` as of open(2), O_CLOEXEC is added. ERROR_NOT_FOUND,
 * ERROR_EXISTS, ERROR_DENIED; ERROR_IO: it is no regular file. Never waits for whoever holds the other
 * end. */
bool fsio_open(struct file *file, int directory, const char *name, int flags, struct error *error);

/* Closes it, and makes it FILE_CLOSED. */
void fsio_close(struct file *file);

/* A further descriptor of the same open file. */
bool fsio_duplicate(const struct file *file, struct file *copy, struct error *error);

/* Reads up to `count` bytes at `position`, fewer only at the end of the file; *got says how many. */
bool fsio_read(const struct file *file, void *bytes, size_t count, uint64_t position, size_t *got,
               struct error *error);

/* Reads exactly `count` bytes; ERROR_CORRUPT when the file ends before. */
bool fsio_read_exactly(const struct file *file, void *bytes, size_t count, uint64_t position,
                       struct error *error);

bool fsio_write(const struct file *file, const void *bytes, size_t count, uint64_t position,
                struct error *error);

/* Makes the file at least `size` long, with space on the disk behind what is added. */
bool fsio_allocate(const struct file *file, uint64_t size, struct error *error);

bool fsio_size(const struct file *file, uint64_t *size, struct error *error);

/* A file seen as memory, for reading. It shows what others write meanwhile, so what was checked has to be a
 * copy. Starts as {0}. */
struct mapping {
    const uint8_t *bytes; /* NULL: none */
    size_t length;
};

/* Maps the whole file as it is now; a mapping that is still right stays. ERROR_CORRUPT: the file has got
 * shorter since it was mapped, against the rules of the format, as when another one is copied over it.
 * ERROR_IO: a part of it can't be had. A look at what is missing would kill the process; and still does where
 * it went between this call and the look, or was dropped from memory and can't be read once more. To read the
 * bytes instead took twice as long for 10,000 partitions × 100 groups. */
bool fsio_map(const struct file *file, struct mapping *mapping, struct error *error);
void fsio_unmap(struct mapping *mapping);

/* fdatasync(2): contents and size. */
bool fsio_sync(const struct file *file, struct error *error);

/* Syncs the folder `name` below `directory`, so that names made or removed in it last. */
bool fsio_sync_folder(int directory, const char *name, struct error *error);

/* Makes the folder; true when it is there already. */
bool fsio_make_folder(int directory, const char *name, struct error *error);

bool fsio_rename(int directory, const char *from, const char *to, struct error *error);

/* Removes a file or, with AT_REMOVEDIR, an empty folder; true when it isn't there. */
bool fsio_remove(int directory, const char *name, int flags, struct error *error);

/* Removes a folder with all that is in it, so many levels deep; true when it isn't there. */
bool fsio_remove_tree(int directory, const char *name, int levels, struct error *error);

/* Calls `visit` with the name of each entry of the folder but "." and "..", in no order, until it returns
 * false. ERROR_NOT_FOUND. */
bool fsio_list(int directory, const char *name, bool (*visit)(void *context, const char *entry),
               void *context, struct error *error);

/* Waits for the exclusive lock of the byte at `position`; it belongs to the open file. */
bool fsio_lock(const struct file *file, uint64_t position, struct error *error);

/* Doesn't wait: *locked tells whether it has got it. */
bool fsio_try_lock(const struct file *file, uint64_t position, bool *locked, struct error *error);
void fsio_unlock(const struct file *file, uint64_t position);

/* The first 64 bits of the kernel's boot id; 0 when it can't be read. */
uint64_t fsio_boot(void);

/* `count` random bytes, for ids. */
bool fsio_random(void *bytes, size_t count, struct error *error);

/* An error of the operating system about the named file, with the code that fits. */
void fsio_error(struct error *error, int system_errno, const char *what, const char *name);

/* --- the seam for tests ----------------------------------------------------------------------------------
 */

enum fsio_call {
    FSIO_OPEN,
    FSIO_READ,
    FSIO_WRITE,
    FSIO_ALLOCATE,
    FSIO_SYNC,
    FSIO_LOCK,
    FSIO_CREATE, /* this and the following are about names: to open a file that may not be there yet */
    FSIO_MAKE_FOLDER,
    FSIO_RENAME,
    FSIO_REMOVE,
    FSIO_SYNC_FOLDER,
    FSIO_CALLS,
};

/* A call that is about to be made. */
struct fsio_step {
    enum fsio_call call;
    int fd;            /* the file; where names are meant: the folder that they are below */
    const char *name;  /* of the file */
    const char *from;  /* FSIO_RENAME: what it was called before; else NULL */
    uint64_t position; /* FSIO_READ, FSIO_WRITE, FSIO_LOCK: where; FSIO_ALLOCATE: the new size; else 0 */
    size_t count; /* FSIO_READ, FSIO_WRITE: of bytes; else 0. May be lowered for a write that fails: it does
                     so after so many of its bytes */
};

struct fsio_fault {
    /* Is asked before each call. 0: go on; else the errno that the call fails with. */
    int (*before)(void *context, struct fsio_step *step);
    void *context;
    uint64_t boot; /* stands for the kernel's boot id */
};

/* NULL but in tests. Set it while no other thread is in the library. */
extern const struct fsio_fault *fsio_fault;

#endif
