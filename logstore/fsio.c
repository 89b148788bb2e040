#include "logstore/fsio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

const struct fsio_fault *fsio_fault;

static int fault(struct fsio_step *step)
{
    return fsio_fault == NULL ? 0 : fsio_fault->before(fsio_fault->context, step);
}

static int fault_at(enum fsio_call call, const struct file *file, uint64_t position, size_t count)
{
    return fault(&(struct fsio_step){call, file->fd, file->name, NULL, position, count});
}

static int fault_of_name(enum fsio_call call, int directory, const char *name)
{
    return fault(&(struct fsio_step){call, directory, name, NULL, 0, 0});
}

static enum error_code code_of(int system_errno)
{
    switch (system_errno) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case ENOLCK:
    case EMFILE:
    case ENFILE:
        return ERROR_UNAVAILABLE;
    case ENOMEM:
        return ERROR_MEMORY;
    default:
        return ERROR_IO;
    }
}

void fsio_error(struct error *error, int system_errno, const char *what, const char *name)
{
    error_set_errno(error, code_of(system_errno), system_errno, "%s %s", what, name);
}

/* Waits for nobody, as opening a FIFO would. -1 with errno. */
static int open_now(int directory, const char *name, int flags)
{
    int fd;
    do
        fd = openat(directory, name, flags | O_NONBLOCK | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static bool is_regular(int fd, const char *name, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        fsio_error(error, errno, "look at", name);
        return false;
    }
    if (!S_ISREG(status.st_mode))
        error_set(error, ERROR_IO, "%s is no regular file", name);
    return S_ISREG(status.st_mode);
}

bool fsio_open(struct file *file, int directory, const char *name, int flags, struct error *error)
{
    int failure = fault_of_name(flags & O_CREAT ? FSIO_CREATE : FSIO_OPEN, directory, name);
    int fd = failure == 0 ? open_now(directory, name, flags) : -1;
    if (fd < 0) {
        fsio_error(error, failure != 0 ? failure : errno, "open", name);
        return false;
    }
    if (!is_regular(fd, name, error)) {
        close(fd);
        return false;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        close(fd);
        error_set(error, ERROR_MEMORY, "no memory to open %s", name);
        return false;
    }
    *file = (struct file){fd, copy};
    return true;
}

void fsio_close(struct file *file)
{
    /* Nothing to be learnt from it: what must last was synced before. */
    if (file->fd >= 0)
        close(file->fd);
    free(file->name);
    *file = FILE_CLOSED;
}

bool fsio_duplicate(const struct file *file, struct file *copy, struct error *error)
{
    struct file made = {fcntl(file->fd, F_DUPFD_CLOEXEC, 0), strdup(file->name)};
    if (made.fd < 0 || made.name == NULL) {
        fsio_error(error, made.fd < 0 ? errno : ENOMEM, "duplicate", file->name);
        fsio_close(&made);
        return false;
    }
    *copy = made;
    return true;
}

bool fsio_read(const struct file *file, void *bytes, size_t count, uint64_t position, size_t *got,
               struct error *error)
{
    size_t done = 0;
    int failure = fault_at(FSIO_READ, file, position, count);
    while (failure == 0 && done < count) {
        ssize_t step = pread(file->fd, (char *)bytes + done, count - done, (off_t)(position + done));
        if (step == 0)
            break;
        if (step > 0)
            done += (size_t)step;
        else if (errno != EINTR)
            failure = errno;
    }
    if (failure != 0) {
        fsio_error(error, failure, "read", file->name);
        return false;
    }
    *got = done;
    return true;
}

bool fsio_read_exactly(const struct file *file, void *bytes, size_t count, uint64_t position,
                       struct error *error)
{
    size_t got;
    if (!fsio_read(file, bytes, count, position, &got, error))
        return false;
    if (got < count) {
        position += got;
        error_set(error, ERROR_CORRUPT, "%s ends at %" PRIu64 ", where more is expected", file->name,
                  position);
        return false;
    }
    return true;
}

bool fsio_write(const struct file *file, const void *bytes, size_t count, uint64_t position,
                struct error *error)
{
    struct fsio_step step = {FSIO_WRITE, file->fd, file->name, NULL, position, count};
    int planned = fault(&step), failure = 0;
    size_t allowed = planned == 0 ? count : step.count;
    for (size_t done = 0; failure == 0 && done < allowed;) {
        ssize_t part = pwrite(file->fd, (const char *)bytes + done, allowed - done, (off_t)(position + done));
        if (part > 0)
            done += (size_t)part;
        else if (part == 0)
            failure = EIO;
        else if (errno != EINTR)
            failure = errno;
    }
    if (failure == 0)
        failure = planned;
    if (failure != 0)
        fsio_error(error, failure, "write", file->name);
    return failure == 0;
}

bool fsio_size(const struct file *file, uint64_t *size, struct error *error)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        fsio_error(error, errno, "look at", file->name);
        return false;
    }
    *size = (uint64_t)status.st_size;
    return true;
}

void fsio_unmap(struct mapping *mapping)
{
    if (mapping->bytes != NULL)
        munmap((void *)mapping->bytes, mapping->length);
    *mapping = (struct mapping){0};
}

/* Whether every page of the mapping is there to be looked at. Kernels before 5.14 can't tell. For a million
 * offsets it takes 3 ms, so it is asked once a mapping. */
static bool is_there(const struct mapping *mapping)
{
    return madvise((void *)mapping->bytes, mapping->length, MADV_POPULATE_READ) == 0 || errno == EINVAL;
}

static bool map(const struct file *file, uint64_t size, struct mapping *mapping, struct error *error)
{
    int failure = fault_at(FSIO_READ, file, 0, (size_t)size);
    void *bytes = failure != 0 ? MAP_FAILED
                               : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED | MAP_POPULATE, file->fd, 0);
    if (bytes == MAP_FAILED) {
        fsio_error(error, failure != 0 ? failure : errno, "map", file->name);
        return false;
    }
    *mapping = (struct mapping){bytes, (size_t)size};
    if (is_there(mapping))
        return true;
    fsio_error(error, errno == EFAULT ? EIO : errno, "read", file->name);
    fsio_unmap(mapping);
    return false;
}

bool fsio_map(const struct file *file, struct mapping *mapping, struct error *error)
{
    uint64_t size;
    if (!fsio_size(file, &size, error))
        return false;
    if (size < mapping->length) {
        fsio_unmap(mapping); /* so it is told once */
        error_set(error, ERROR_CORRUPT, "%s has got shorter: it ends at %" PRIu64, file->name, size);
        return false;
    }
    if (mapping->bytes != NULL && size == mapping->length)
        return true;
    fsio_unmap(mapping);
    return map(file, size, mapping, error);
}

bool fsio_allocate(const struct file *file, uint64_t size, struct error *error)
{
    uint64_t present;
    if (!fsio_size(file, &present, error))
        return false;
    if (present >= size)
        return true;
    int failure = fault_at(FSIO_ALLOCATE, file, size, 0);
    while (failure == 0 && fallocate(file->fd, 0, (off_t)present, (off_t)(size - present)) != 0) {
        if (errno == EOPNOTSUPP) /* a file system that can't: the writes will tell when it is full */
            failure = ftruncate(file->fd, (off_t)size) == 0 ? 0 : errno;
        else if (errno != EINTR)
            failure = errno;
        else
            continue;
        break;
    }
    if (failure != 0)
        fsio_error(error, failure, "make room in", file->name);
    return failure == 0;
}

bool fsio_sync(const struct file *file, struct error *error)
{
    int failure = fault_at(FSIO_SYNC, file, 0, 0);
    if (failure == 0 && fdatasync(file->fd) != 0)
        failure = errno;
    if (failure != 0)
        fsio_error(error, failure, "sync", file->name);
    return failure == 0;
}

bool fsio_sync_folder(int directory, const char *name, struct error *error)
{
    int failure = fault_of_name(FSIO_SYNC_FOLDER, directory, name);
    int fd = failure == 0 ? openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (failure == 0 && fd < 0 && errno == EACCES) /* it may be written, but not read */
        failure = syncfs(directory) == 0 ? 0 : errno;
    else if (failure == 0 && (fd < 0 || fsync(fd) != 0))
        failure = errno;
    if (fd >= 0)
        close(fd);
    if (failure != 0)
        fsio_error(error, failure, "sync folder", name);
    return failure == 0;
}

bool fsio_make_folder(int directory, const char *name, struct error *error)
{
    int failure = fault_of_name(FSIO_MAKE_FOLDER, directory, name);
    if (failure == 0 && mkdirat(directory, name, 0777) != 0 && errno != EEXIST)
        failure = errno;
    if (failure != 0)
        fsio_error(error, failure, "make folder", name);
    return failure == 0;
}

bool fsio_rename(int directory, const char *from, const char *to, struct error *error)
{
    int failure = fault(&(struct fsio_step){FSIO_RENAME, directory, to, from, 0, 0});
    if (failure == 0 && renameat(directory, from, directory, to) != 0)
        failure = errno;
    if (failure != 0)
        fsio_error(error, failure, "rename to", to);
    return failure == 0;
}

bool fsio_remove(int directory, const char *name, int flags, struct error *error)
{
    int failure = fault_of_name(FSIO_REMOVE, directory, name);
    if (failure == 0 && unlinkat(directory, name, flags) != 0 && errno != ENOENT)
        failure = errno;
    if (failure != 0)
        fsio_error(error, failure, "remove", name);
    return failure == 0;
}

bool fsio_list(int directory, const char *name, bool (*visit)(void *context, const char *entry),
               void *context, struct error *error)
{
    int failure = fault_of_name(FSIO_OPEN, directory, name);
    int fd = failure == 0 ? openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (failure == 0 && fd < 0)
        failure = errno;
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && folder == NULL) {
        failure = errno;
        close(fd);
    }
    bool more = folder != NULL;
    while (more) {
        errno = 0;
        struct dirent *entry = readdir(folder); /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (entry == NULL) {
            failure = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            more = visit(context, entry->d_name);
    }
    if (folder != NULL)
        closedir(folder);
    if (failure != 0)
        fsio_error(error, failure, "list", name);
    return failure == 0;
}

struct removal {
    int directory, levels;
    const char *folder;
    struct error failure;
};

static bool remove_entry(void *context, const char *entry)
{
    struct removal *removal = context;
    size_t size = strlen(removal->folder) + strlen(entry) + 2;
    char *name = malloc(size);
    if (name == NULL) {
        error_set(&removal->failure, ERROR_MEMORY, "no memory to remove %s", removal->folder);
        return false;
    }
    snprintf(name, size, "%s/%s", removal->folder, entry);
    bool done = removal->levels == 0
                    ? fsio_remove(removal->directory, name, 0, &removal->failure)
                    : fsio_remove_tree(removal->directory, name, removal->levels, &removal->failure);
    free(name);
    return done;
}

bool fsio_remove_tree(int directory, const char *name, int levels, struct error *error)
{
    struct removal removal = {directory, levels - 1, name, {0}};
    struct error failure = {0};
    if (!fsio_list(directory, name, remove_entry, &removal, &failure)) {
        if (failure.code == ERROR_NOT_FOUND) {
            error_clear(&failure);
            return true;
        }
        error_clear(&removal.failure);
        *error = failure;
        return false;
    }
    if (removal.failure.code != ERROR_NONE) {
        *error = removal.failure;
        return false;
    }
    return fsio_remove(directory, name, AT_REMOVEDIR, error);
}

/* 0, or what failed. */
static int lock(const struct file *file, uint64_t position, short type, int command)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)position, .l_len = 1};
    while (fcntl(file->fd, command, &range) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

bool fsio_lock(const struct file *file, uint64_t position, struct error *error)
{
    int failure = fault_at(FSIO_LOCK, file, position, 0);
    if (failure == 0)
        failure = lock(file, position, F_WRLCK, F_OFD_SETLKW);
    if (failure != 0)
        fsio_error(error, failure, "lock", file->name);
    return failure == 0;
}

bool fsio_try_lock(const struct file *file, uint64_t position, bool *locked, struct error *error)
{
    int failure = fault_at(FSIO_LOCK, file, position, 0);
    if (failure == 0)
        failure = lock(file, position, F_WRLCK, F_OFD_SETLK);
    *locked = failure == 0;
    if (failure == 0 || failure == EAGAIN || failure == EACCES)
        return true;
    fsio_error(error, failure, "lock", file->name);
    return false;
}

void fsio_unlock(const struct file *file, uint64_t position)
{
    /* Can fail only for a lock that never was: a bug, and closing the file would drop it anyway. */
    (void)lock(file, position, F_UNLCK, F_OFD_SETLK);
}

static uint64_t kernel_boot;
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

static void read_boot(void)
{
    char text[64] = {0};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    unsigned digits = 0;
    for (ssize_t i = 0; i < length && digits < 16; i++) {
        const char *hex = "0123456789abcdef", *found = strchr(hex, text[i]);
        if (found == NULL || *found == '\0')
            continue;
        kernel_boot = kernel_boot << 4 | (uint64_t)(found - hex);
        digits++;
    }
}

uint64_t fsio_boot(void)
{
    if (fsio_fault != NULL && fsio_fault->boot != 0)
        return fsio_fault->boot;
    pthread_once(&boot_once, read_boot);
    return kernel_boot;
}

bool fsio_random(void *bytes, size_t count, struct error *error)
{
    if (getrandom(bytes, count, 0) == (ssize_t)count)
        return true;
    error_set_errno(error, ERROR_IO, errno, "get random bytes");
    return false;
}
