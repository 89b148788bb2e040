#ifndef TESTS_LIB_LOGSTORE_DISK_H
#define TESTS_LIB_LOGSTORE_DISK_H

#include "logstore/fsio.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A disk that loses power: the calls that the seam tells of are written down, so that those can be taken back
 * of which nothing was ever synced. It promises as little as POSIX does:
 *
 *   bytes   written, and the size of a file that grew, last after fdatasync() of that file
 *   names   made, changed or removed last after fsync() of the folder that they are in; that of the file does
 *           nothing for them
 *   a sync that failed   may have left the pages behind that it should have written, and counts them as
 *           written all the same: no later sync writes them, unless somebody has written to them again
 *
 * Of what wasn't synced the disk may have any part, but sectors and changes of one name in their order.
 */

enum { DISK_PAGE = 4096, DISK_SECTOR = 512, DISK_KEPT_MOST = 1024 };

/* What a write replaced, or the size before a file grew; never more than one page. */
struct disk_write {
    dev_t device;
    ino_t inode;
    int fd; /* a duplicate */
    uint64_t position;
    size_t written;   /* bytes; 0: the file grew only */
    size_t count;     /* of bytes that were there before */
    uint64_t size;    /* of the file before */
    char *bytes;      /* owned: those before */
    bool left_behind; /* by a sync that failed */
};

/* A name that was made, changed or removed. */
struct disk_name {
    enum fsio_call call;
    char *name, *from; /* owned, whole paths; from: of a rename */
    char *saved;       /* owned: a link to what had the name before; NULL: nothing, or a folder */
};

static struct {
    char attic[PATH_MAX]; /* the folder of the links */
    long saved;
    struct disk_write *writes; /* owned, as are the names */
    size_t write_count, write_capacity;
    struct disk_name *names;
    size_t name_count, name_capacity;
} disk;

static void disk_check(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    abort();
}

/* Room for another element in the array, which may move. */
static void *disk_reserve(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = 2 * *capacity + 64;
    array = realloc(array, *capacity * size);
    disk_check(array != NULL, "remember what was written");
    return array;
}

/* --- bytes -----------------------------------------------------------------------------------------------
 */

static bool disk_same_file(const struct disk_write *a, const struct disk_write *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Whether both have bytes in the same block of that size. */
static bool disk_meet(const struct disk_write *a, const struct disk_write *b, uint64_t block)
{
    return disk_same_file(a, b) && a->written > 0 && b->written > 0 &&
           a->position / block <= (b->position + b->written - 1) / block &&
           b->position / block <= (a->position + a->written - 1) / block;
}

static void disk_free_write(struct disk_write *write)
{
    close(write->fd);
    free(write->bytes);
}

/* Notes a write within one page, or that the file grows. */
static void disk_note_piece(int fd, uint64_t position, size_t count)
{
    struct stat status;
    disk_check(fstat(fd, &status) == 0, "look at a file");
    char *bytes = malloc(count + 1);
    disk_check(bytes != NULL, "remember what was written");
    ssize_t before = pread(fd, bytes, count, (off_t)position);
    struct disk_write write = {
        .device = status.st_dev,
        .inode = status.st_ino,
        .fd = dup(fd),
        .position = position,
        .written = count,
        .count = before < 0 ? 0 : (size_t)before,
        .size = (uint64_t)status.st_size,
        .bytes = bytes,
    };
    for (size_t i = 0; i < disk.write_count; i++) /* the next sync will write the whole page */
        if (disk_meet(&disk.writes[i], &write, DISK_PAGE))
            disk.writes[i].left_behind = false;
    disk.writes = disk_reserve(disk.writes, disk.write_count, &disk.write_capacity, sizeof *disk.writes);
    disk.writes[disk.write_count++] = write;
}

static void disk_note_write(int fd, uint64_t position, size_t count)
{
    while (count > 0) {
        size_t piece = DISK_PAGE - position % DISK_PAGE;
        piece = piece < count ? piece : count;
        disk_note_piece(fd, position, piece);
        position += piece;
        count -= piece;
    }
}

/* After a sync, which may fail. */
static void disk_note_sync(int fd, bool fails)
{
    struct stat status;
    disk_check(fstat(fd, &status) == 0, "look at a file");
    struct disk_write *writes = disk.writes;
    size_t kept = 0;
    for (size_t i = 0; i < disk.write_count; i++) {
        bool here = writes[i].device == status.st_dev && writes[i].inode == status.st_ino;
        writes[i].left_behind = writes[i].left_behind || (here && fails && writes[i].written > 0);
        if (here && !fails && !writes[i].left_behind)
            disk_free_write(&writes[i]);
        else
            writes[kept++] = writes[i];
    }
    disk.write_count = kept;
}

/* The last write first; by the bits of `pattern` some of them have reached the disk. One before another in
 * the same sector that has, has too. */
static void disk_lose_writes(unsigned pattern)
{
    struct disk_write kept[DISK_KEPT_MOST];
    size_t kept_count = 0;
    while (disk.write_count > 0) {
        struct disk_write *write = &disk.writes[--disk.write_count];
        bool keeps = pattern >> (disk.write_count % 32) & 1 && !write->left_behind, last_of_file = true;
        for (size_t i = 0; i < kept_count; i++) {
            keeps = keeps || disk_meet(write, &kept[i], DISK_SECTOR);
            last_of_file = last_of_file && !disk_same_file(write, &kept[i]);
        }
        if (keeps && kept_count < DISK_KEPT_MOST) {
            kept[kept_count++] = *write;
        } else {
            disk_check(pwrite(write->fd, write->bytes, write->count, (off_t)write->position) >= 0,
                       "take back");
            if (last_of_file && !write->left_behind) /* sizes are not left behind */
                disk_check(ftruncate(write->fd, (off_t)write->size) == 0, "take back the size");
        }
        disk_free_write(write);
    }
}

/* --- names -----------------------------------------------------------------------------------------------
 */

/* The whole path of a name below a folder; owned by the caller. */
static char *disk_path(int folder, const char *name)
{
    char link[64], above[PATH_MAX] = "", path[2 * PATH_MAX];
    if (name[0] != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, above, sizeof above - 1);
        disk_check(length > 0, "find a folder");
        above[length] = '\0';
    }
    snprintf(path, sizeof path, "%s%s%s", above, above[0] == '\0' ? "" : "/", name);
    char *whole = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? realpath(path, NULL) : strdup(path);
    disk_check(whole != NULL, "find a folder");
    return whole;
}

/* A link to what has the name, so that it can come back; NULL: nothing has it, or a folder. */
static char *disk_save(const char *name)
{
    char saved[PATH_MAX + 32];
    snprintf(saved, sizeof saved, "%s/%ld", disk.attic, disk.saved++);
    if (linkat(AT_FDCWD, name, AT_FDCWD, saved, 0) == 0)
        return strdup(saved);
    disk_check(errno == ENOENT || errno == EPERM, "save a file");
    return NULL;
}

static void disk_note_name(const struct fsio_step *step)
{
    struct disk_name change = {.call = step->call, .name = disk_path(step->fd, step->name)};
    bool there = access(change.name, F_OK) == 0;
    if (step->call == FSIO_REMOVE ? !there : there && step->call != FSIO_RENAME) {
        free(change.name); /* nothing will change */
        return;
    }
    if (step->call == FSIO_RENAME)
        change.from = disk_path(step->fd, step->from);
    if (step->call == FSIO_RENAME || step->call == FSIO_REMOVE)
        change.saved = disk_save(change.name);
    disk.names = disk_reserve(disk.names, disk.name_count, &disk.name_capacity, sizeof *disk.names);
    disk.names[disk.name_count++] = change;
}

static void disk_free_name(struct disk_name *change)
{
    if (change->saved != NULL)
        (void)unlink(change->saved); /* it may have been put back */
    free(change->name);
    free(change->from);
    free(change->saved);
}

static void disk_note_folder_sync(const struct fsio_step *step)
{
    char *folder = disk_path(step->fd, step->name);
    size_t length = strlen(folder), kept = 0;
    for (size_t i = 0; i < disk.name_count; i++) {
        const char *name = disk.names[i].name;
        if (strncmp(name, folder, length) == 0 && name[length] == '/' &&
            strchr(name + length + 1, '/') == NULL)
            disk_free_name(&disk.names[i]);
        else
            disk.names[kept++] = disk.names[i];
    }
    disk.name_count = kept;
    free(folder);
}

static int disk_remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* A folder that isn't there any more had what was in it taken along, so what fails for that is right. */
static void disk_take_back(const struct disk_name *change)
{
    bool done = true;
    switch (change->call) {
    case FSIO_CREATE:
        done = unlink(change->name) == 0;
        break;
    case FSIO_MAKE_FOLDER:
        done = nftw(change->name, disk_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0;
        break;
    case FSIO_RENAME:
        done = rename(change->name, change->from) == 0 &&
               (change->saved == NULL || rename(change->saved, change->name) == 0);
        break;
    case FSIO_REMOVE:
        done =
            change->saved != NULL ? rename(change->saved, change->name) == 0 : mkdir(change->name, 0777) == 0;
        break;
    default:
        break;
    }
    disk_check(done || errno == ENOENT, change->name);
}

static bool disk_same_name(const struct disk_name *a, const struct disk_name *b)
{
    return strcmp(a->name, b->name) == 0 || (a->from != NULL && strcmp(a->from, b->name) == 0) ||
           (b->from != NULL && strcmp(a->name, b->from) == 0);
}

/* As with writes. */
static void disk_lose_names(unsigned pattern)
{
    struct disk_name kept[DISK_KEPT_MOST];
    size_t kept_count = 0;
    while (disk.name_count > 0) {
        struct disk_name *change = &disk.names[--disk.name_count];
        bool keeps = pattern >> (disk.name_count % 32) & 1;
        for (size_t i = 0; i < kept_count; i++)
            keeps = keeps || disk_same_name(change, &kept[i]);
        if (keeps && kept_count < DISK_KEPT_MOST) {
            kept[kept_count++] = *change;
        } else {
            disk_take_back(change);
            disk_free_name(change);
        }
    }
    while (kept_count > 0)
        disk_free_name(&kept[--kept_count]);
}

/* --- the whole -------------------------------------------------------------------------------------------
 */

/* Begins to watch; `attic` is an empty folder on the same file system. */
static void disk_begin(const char *attic)
{
    snprintf(disk.attic, sizeof disk.attic, "%s", attic);
}

/* To be told of each call before it is made, and whether it will fail. */
static void disk_note(const struct fsio_step *step, bool fails)
{
    if (step->call == FSIO_WRITE)
        disk_note_write(step->fd, step->position, step->count);
    else if (step->call == FSIO_SYNC)
        disk_note_sync(step->fd, fails);
    else if (fails)
        return;
    else if (step->call == FSIO_ALLOCATE)
        disk_note_piece(step->fd, step->position, 0);
    else if (step->call == FSIO_SYNC_FOLDER)
        disk_note_folder_sync(step);
    else if (step->call >= FSIO_CREATE)
        disk_note_name(step);
}

/* Takes back what wasn't synced: all of it where `pattern` is 0, else by its bits some. */
static void disk_lose_power(unsigned pattern)
{
    disk_lose_writes(pattern);
    disk_lose_names(pattern * 2654435761u);
}

static void disk_end(void)
{
    for (size_t i = 0; i < disk.write_count; i++)
        disk_free_write(&disk.writes[i]);
    for (size_t i = 0; i < disk.name_count; i++)
        disk_free_name(&disk.names[i]);
    free(disk.writes);
    free(disk.names);
    memset(&disk, 0, sizeof disk);
}

#endif
