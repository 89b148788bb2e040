#include "logstore/segment.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"

#include "exporter/base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_SIZE = 96, BASE_DIGITS = 20 };

static const char LOG_SUFFIX[] = ".log", INDEX_SUFFIX[] = ".index";
static const char NEW_LOG_SUFFIX[] = ".log.new", NEW_INDEX_SUFFIX[] = ".index.new";

/* The folder's name; with a base, a file's. */
static void folder_name(char name[NAME_SIZE], const struct segment_place *place)
{
    snprintf(name, NAME_SIZE, "topic/%08x/%u", place->topic, place->partition);
}

static void file_name(char name[NAME_SIZE], const struct segment_place *place, int64_t base,
                      const char *suffix)
{
    snprintf(name, NAME_SIZE, "topic/%08x/%u/%020lld%s", place->topic, place->partition, (long long)base,
             suffix);
}

static struct head head_of(const struct segment_place *place, enum head_kind kind, int64_t base,
                           uint64_t instance)
{
    struct head head = {
        .kind = kind,
        .owner = (uint64_t)place->topic << 32 | place->partition,
        .base = (uint64_t)base,
        .instance = instance,
        .made = clock_wall_ms(),
    };
    memcpy(head.store, place->store, STORE_ID_SIZE);
    return head;
}

static bool create_file(struct file *file, const struct segment_place *place, const char *suffix,
                        const struct head *head, uint32_t *crc, struct error *error)
{
    char name[NAME_SIZE];
    uint8_t bytes[HEAD_SIZE];
    file_name(name, place, (int64_t)head->base, suffix);
    *crc = head_encode(head, bytes);
    return fsio_remove(place->directory, name, 0, error) &&
           fsio_open(file, place->directory, name, O_RDWR | O_CREAT | O_EXCL, error) &&
           fsio_write(file, bytes, sizeof bytes, 0, error);
}

static bool make_folders(const struct segment_place *place, struct error *error)
{
    char topic[NAME_SIZE], folder[NAME_SIZE];
    snprintf(topic, sizeof topic, "topic/%08x", place->topic);
    folder_name(folder, place);
    return fsio_make_folder(place->directory, topic, error) &&
           fsio_make_folder(place->directory, folder, error);
}

bool segment_sync_names(const struct segment_place *place, struct error *error)
{
    char topic[NAME_SIZE], folder[NAME_SIZE];
    snprintf(topic, sizeof topic, "topic/%08x", place->topic);
    folder_name(folder, place);
    return fsio_sync_folder(place->directory, "topic", error) &&
           fsio_sync_folder(place->directory, topic, error) &&
           fsio_sync_folder(place->directory, folder, error);
}

static bool create_files(struct segment *segment, const struct segment_place *place, int64_t base,
                         const char *log_suffix, const char *index_suffix, bool compacted,
                         struct error *error)
{
    uint64_t instance;
    uint32_t unused;
    *segment = SEGMENT_CLOSED;
    if (!fsio_random(&instance, sizeof instance, error))
        return false;
    instance = compacted ? instance | 1 : instance & ~(uint64_t)1;
    struct head log = head_of(place, HEAD_SEGMENT, base, instance);
    struct head index = head_of(place, HEAD_INDEX, base, instance);
    if (!create_file(&segment->index, place, index_suffix, &index, &unused, error) ||
        !create_file(&segment->log, place, log_suffix, &log, &segment->head_crc, error)) {
        segment_close(segment);
        return false;
    }
    segment->base = base;
    segment->instance = instance;
    segment->made = log.made;
    segment->compacted = compacted;
    return true;
}

bool segment_create(struct segment *segment, const struct segment_place *place, int64_t base,
                    struct error *error)
{
    *segment = SEGMENT_CLOSED;
    return make_folders(place, error) &&
           create_files(segment, place, base, LOG_SUFFIX, INDEX_SUFFIX, false, error);
}

bool segment_create_replacement(struct segment *segment, const struct segment_place *place, int64_t base,
                                struct error *error)
{
    return create_files(segment, place, base, NEW_LOG_SUFFIX, NEW_INDEX_SUFFIX, true, error);
}

/* The log first: an index of another instance is left aside. */
bool segment_replace(const struct segment *replacement, const struct segment_place *place,
                     struct error *error)
{
    char folder[NAME_SIZE], new_log[NAME_SIZE], log[NAME_SIZE], new_index[NAME_SIZE], index[NAME_SIZE];
    folder_name(folder, place);
    file_name(new_log, place, replacement->base, NEW_LOG_SUFFIX);
    file_name(log, place, replacement->base, LOG_SUFFIX);
    file_name(new_index, place, replacement->base, NEW_INDEX_SUFFIX);
    file_name(index, place, replacement->base, INDEX_SUFFIX);
    return fsio_sync(&replacement->log, error) && fsio_sync(&replacement->index, error) &&
           fsio_rename(place->directory, new_log, log, error) &&
           fsio_rename(place->directory, new_index, index, error) &&
           fsio_sync_folder(place->directory, folder, error);
}

static bool open_file(struct file *file, const struct segment_place *place, const char *suffix, int flags,
                      struct head *head, struct error *error)
{
    char name[NAME_SIZE];
    file_name(name, place, (int64_t)head->base, suffix);
    return fsio_open(file, place->directory, name, flags, error) && head_check(file, head, error);
}

/* An index is a hint: one that is missing, damaged or of another instance is left aside by readers and made
 * anew by writers. */
static bool open_index(struct segment *segment, const struct segment_place *place, int flags,
                       struct error *error)
{
    struct error ignored = {0};
    struct head head = head_of(place, HEAD_INDEX, segment->base, 0);
    bool fits = open_file(&segment->index, place, INDEX_SUFFIX, flags, &head, &ignored) &&
                head.instance == segment->instance;
    error_clear(&ignored);
    if (fits)
        return true;
    fsio_close(&segment->index);
    if (flags != O_RDWR)
        return true;
    uint32_t unused;
    head = head_of(place, HEAD_INDEX, segment->base, segment->instance);
    return create_file(&segment->index, place, INDEX_SUFFIX, &head, &unused, error);
}

bool segment_open(struct segment *segment, const struct segment_place *place, int64_t base, int flags,
                  struct error *error)
{
    *segment = SEGMENT_CLOSED;
    segment->base = base;
    struct head head = head_of(place, HEAD_SEGMENT, base, 0);
    if (!open_file(&segment->log, place, LOG_SUFFIX, flags, &head, error))
        goto failed;
    if (head.base != (uint64_t)base) {
        error_set(error, ERROR_CORRUPT, "%s says that it begins with offset %lld", segment->log.name,
                  (long long)head.base);
        goto failed;
    }
    uint8_t bytes[HEAD_SIZE];
    segment->head_crc = head_encode(&head, bytes);
    segment->instance = head.instance;
    segment->made = head.made;
    segment->compacted = head.instance & 1;
    if (open_index(segment, place, flags, error))
        return true;
failed:
    segment_close(segment);
    return false;
}

void segment_close(struct segment *segment)
{
    fsio_close(&segment->log);
    fsio_close(&segment->index);
}

bool segment_remove(const struct segment_place *place, int64_t base, struct error *error)
{
    char log[NAME_SIZE], index[NAME_SIZE];
    file_name(log, place, base, LOG_SUFFIX);
    file_name(index, place, base, INDEX_SUFFIX);
    return fsio_remove(place->directory, log, 0, error) && fsio_remove(place->directory, index, 0, error);
}

/* --- listing ---------------------------------------------------------------------------------------------
 */

struct listing {
    int64_t *bases;
    size_t count, capacity;
    bool failed;
};

/* The base offset in the name of a file with that suffix; -1 for any other name. */
static int64_t base_of(const char *entry, const char *suffix)
{
    if (strlen(entry) != BASE_DIGITS + strlen(suffix) || strcmp(entry + BASE_DIGITS, suffix) != 0)
        return -1;
    if (strspn(entry, "0123456789") != BASE_DIGITS || entry[0] != '0')
        return -1;
    char *end;
    long long base = strtoll(entry, &end, 10);
    return base == INT64_MAX ? -1 : base;
}

static bool note_segment(void *context, const char *entry)
{
    struct listing *listing = context;
    int64_t base = base_of(entry, LOG_SUFFIX);
    if (base < 0)
        return true;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 16 : 2 * listing->capacity;
        int64_t *bases = realloc(listing->bases, capacity * sizeof *bases);
        if (bases == NULL) {
            listing->failed = true;
            return false;
        }
        listing->bases = bases;
        listing->capacity = capacity;
    }
    listing->bases[listing->count++] = base;
    return true;
}

static int compare_bases(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

bool segment_list(const struct segment_place *place, int64_t **bases, size_t *count, struct error *error)
{
    struct listing listing = {0};
    char folder[NAME_SIZE];
    folder_name(folder, place);
    struct error failure = {0};
    bool listed = fsio_list(place->directory, folder, note_segment, &listing, &failure);
    if (!listed && failure.code == ERROR_NOT_FOUND) {
        error_clear(&failure);
        listed = true;
    }
    if (listed && listing.failed)
        error_set(&failure, ERROR_MEMORY, "no memory to list the segments in %s", folder);
    if (!listed || listing.failed) {
        free(listing.bases);
        *error = failure;
        return false;
    }
    if (listing.count > 1)
        qsort(listing.bases, listing.count, sizeof *listing.bases, compare_bases);
    *bases = listing.bases;
    *count = listing.count;
    return true;
}

int64_t segment_among(const int64_t *bases, size_t count, int64_t offset)
{
    size_t from = 0, to = count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (bases[middle] <= offset)
            from = middle + 1;
        else
            to = middle;
    }
    return from == 0 ? -1 : bases[from - 1];
}

bool segment_remove_behind(const struct segment_place *place, int64_t base, struct error *error)
{
    int64_t *bases;
    size_t count;
    if (!segment_list(place, &bases, &count, error))
        return false;
    bool done = true;
    for (size_t i = 0; done && i < count; i++)
        done = bases[i] <= base || segment_remove(place, bases[i], error);
    free(bases);
    return done;
}

struct leftovers {
    const struct segment_place *place;
    const int64_t *bases;
    size_t count;
    int64_t active;
    struct error failure;
};

static bool remove_leftover(void *context, const char *entry)
{
    struct leftovers *leftovers = context;
    const char *const suffixes[] = {NEW_LOG_SUFFIX, NEW_INDEX_SUFFIX, INDEX_SUFFIX};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        int64_t base = base_of(entry, suffixes[i]);
        bool belongs =
            suffixes[i] == INDEX_SUFFIX &&
            (base >= leftovers->active || segment_among(leftovers->bases, leftovers->count, base) == base);
        if (base < 0 || belongs)
            continue;
        char name[NAME_SIZE];
        file_name(name, leftovers->place, base, suffixes[i]);
        return fsio_remove(leftovers->place->directory, name, 0, &leftovers->failure);
    }
    return true;
}

bool segment_remove_leftovers(const struct segment_place *place, const int64_t *bases, size_t count,
                              int64_t active, struct error *error)
{
    struct leftovers leftovers = {place, bases, count, active, {0}};
    struct error failure = {0};
    char folder[NAME_SIZE];
    folder_name(folder, place);
    bool listed = fsio_list(place->directory, folder, remove_leftover, &leftovers, &failure);
    if (!listed && failure.code == ERROR_NOT_FOUND) {
        error_clear(&failure);
        return true;
    }
    if (listed)
        failure = leftovers.failure;
    else
        error_clear(&leftovers.failure);
    if (failure.code != ERROR_NONE)
        *error = failure;
    return failure.code == ERROR_NONE;
}

/* --- batches ---------------------------------------------------------------------------------------------
 */

void segment_damaged(const struct segment *segment, uint64_t position, const char *what, struct error *error)
{
    error_set(error, ERROR_CORRUPT, "%s: %s at %llu", segment->log.name, what, (unsigned long long)position);
}

bool segment_read_header(const struct segment *segment, uint64_t position, uint64_t limit, int64_t expected,
                         struct batch *batch, struct error *error)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    size_t got;
    if (!fsio_read(&segment->log, bytes, sizeof bytes, position, &got, error))
        return false;
    if (got < sizeof bytes || !batch_decode_header(bytes, batch)) {
        segment_damaged(segment, position, "no batch of records", error);
        return false;
    }
    return segment_check_header(segment, position, limit, expected, batch, error);
}

bool segment_check_header(const struct segment *segment, uint64_t position, uint64_t limit, int64_t expected,
                          const struct batch *batch, struct error *error)
{
    if (expected >= 0 &&
        (segment->compacted ? batch->base_offset < expected : batch->base_offset != expected)) {
        segment_damaged(segment, position, "a batch of other offsets than expected", error);
        return false;
    }
    if (position > limit || batch->length > limit - position) {
        segment_damaged(segment, position, "a batch that is longer than the segment", error);
        return false;
    }
    if (batch->flags & BATCH_END_OF_SEGMENT && batch->base_offset <= segment->base) {
        segment_damaged(segment, position, "an end that leads back", error);
        return false;
    }
    return true;
}

bool segment_read_end(const struct segment *segment, uint64_t *position, struct batch *end,
                      struct error *error)
{
    uint64_t size;
    if (!fsio_size(&segment->log, &size, error))
        return false;
    *position = segment_seek_offset(segment, INT64_MAX, size);
    for (;; *position += end->length) {
        if (!segment_read_header(segment, *position, size, -1, end, error))
            return false;
        if (end->flags & BATCH_END_OF_SEGMENT)
            return true;
    }
}

/* --- index -----------------------------------------------------------------------------------------------
 */

enum {
    ENTRY_AT_OFFSET = 0,
    ENTRY_AT_POSITION = 8,
    ENTRY_AT_TIMESTAMP = 16,
    ENTRY_AT_CRC = 28,
    ENTRY_SIZE = 32,
    ENTRIES_AT_ONCE = 64,
    INTERVALS_A_BATCH = INT32_MAX / INDEX_INTERVAL + 1,
};

static uint64_t entry_position(uint64_t interval)
{
    return HEAD_SIZE + ENTRY_SIZE * interval;
}

/* Entries of the intervals in which no batch begins are written as zeros: something of a batch that was never
 * acknowledged may be there. */
bool segment_index_add(const struct segment *segment, uint64_t before, uint64_t position, int64_t base_offset,
                       int64_t max_timestamp, struct error *error)
{
    uint64_t interval = position / INDEX_INTERVAL, first = before == 0 ? 0 : before / INDEX_INTERVAL + 1;
    uint8_t bytes[ENTRIES_AT_ONCE * ENTRY_SIZE] = {0};
    if (first > interval)
        return true;
    for (; interval - first >= ENTRIES_AT_ONCE; first += ENTRIES_AT_ONCE)
        if (!fsio_write(&segment->index, bytes, sizeof bytes, entry_position(first), error))
            return false;
    uint8_t *entry = bytes + ENTRY_SIZE * (interval - first);
    put64(entry + ENTRY_AT_OFFSET, (uint64_t)base_offset);
    put64(entry + ENTRY_AT_POSITION, position);
    put64(entry + ENTRY_AT_TIMESTAMP, (uint64_t)max_timestamp);
    put32(entry + ENTRY_AT_CRC, crc32c(0, entry, ENTRY_AT_CRC));
    return fsio_write(&segment->index, bytes, ENTRY_SIZE * (interval - first + 1), entry_position(first),
                      error);
}

struct entry {
    int64_t offset, max_timestamp;
    uint64_t position;
};

/* The entry of the interval, when it counts. */
static bool decode_entry(const uint8_t bytes[ENTRY_SIZE], uint64_t interval, struct entry *entry)
{
    *entry = (struct entry){(int64_t)get64(bytes + ENTRY_AT_OFFSET),
                            (int64_t)get64(bytes + ENTRY_AT_TIMESTAMP), get64(bytes + ENTRY_AT_POSITION)};
    return get32(bytes + ENTRY_AT_CRC) == crc32c(0, bytes, ENTRY_AT_CRC) &&
           entry->position / INDEX_INTERVAL == interval && entry->position >= HEAD_SIZE;
}

/* The last entry that counts at or below the interval, and not below `least`; *interval becomes its own.
 * False: none that isn't further away than the largest batch is long, or no index to be read. */
static bool read_entry(const struct segment *segment, uint64_t *interval, uint64_t least, struct entry *entry)
{
    if (*interval - least > INTERVALS_A_BATCH)
        least = *interval - INTERVALS_A_BATCH;
    for (uint64_t end = *interval + 1; end > least && segment->index.fd >= 0;) {
        uint8_t bytes[ENTRIES_AT_ONCE * ENTRY_SIZE];
        struct error ignored = {0};
        size_t got, count = end - least < ENTRIES_AT_ONCE ? (size_t)(end - least) : ENTRIES_AT_ONCE;
        if (!fsio_read(&segment->index, bytes, count * ENTRY_SIZE, entry_position(end - count), &got,
                       &ignored)) {
            error_clear(&ignored);
            return false;
        }
        end -= count;
        for (size_t i = got / ENTRY_SIZE; i-- > 0;)
            if (decode_entry(bytes + i * ENTRY_SIZE, end + i, entry)) {
                *interval = end + i;
                return true;
            }
    }
    return false;
}

/* Whether the batch that the entry tells of is there. */
static bool entry_holds(const struct segment *segment, const struct entry *entry, uint64_t limit)
{
    struct error ignored = {0};
    struct batch batch;
    bool holds = segment_read_header(segment, entry->position, limit, entry->offset, &batch, &ignored) &&
                 batch.base_offset == entry->offset;
    error_clear(&ignored);
    return holds;
}

/* The position of the last entry for which before() is true, as it is for all entries up to some place. */
static uint64_t seek(const struct segment *segment, uint64_t limit, int64_t target,
                     bool (*before)(const struct entry *entry, int64_t target))
{
    uint64_t position = HEAD_SIZE;
    uint64_t from = 0, to = limit / INDEX_INTERVAL + 1; /* the answer is below `to` */
    while (from < to) {
        uint64_t middle = from + (to - from) / 2, found = middle;
        struct entry entry;
        if (!read_entry(segment, &found, from, &entry)) {
            from = middle + 1; /* nothing in this half: not from here, at least */
            continue;
        }
        if (!before(&entry, target) || entry.position >= limit) {
            to = found;
            continue;
        }
        if (entry_holds(segment, &entry, limit))
            position = entry.position;
        from = middle + 1;
    }
    return position;
}

bool segment_find_behind(const struct segment *segment, uint64_t *position, int64_t *offset, uint64_t limit)
{
    uint64_t interval = *position / INDEX_INTERVAL + (*position > 0), end = limit / INDEX_INTERVAL + 1;
    for (size_t count = 0; interval < end && segment->index.fd >= 0; interval += count) {
        uint8_t bytes[ENTRIES_AT_ONCE * ENTRY_SIZE];
        struct error ignored = {0};
        bool done =
            fsio_read(&segment->index, bytes, sizeof bytes, entry_position(interval), &count, &ignored);
        error_clear(&ignored);
        count /= ENTRY_SIZE;
        if (!done || count == 0)
            return false;
        for (size_t i = 0; i < count; i++) {
            struct entry entry;
            if (!decode_entry(bytes + i * ENTRY_SIZE, interval + i, &entry) || entry.offset <= *offset ||
                entry.position >= limit || !entry_holds(segment, &entry, limit))
                continue;
            *position = entry.position;
            *offset = entry.offset;
            return true;
        }
    }
    return false;
}

static bool offset_not_after(const struct entry *entry, int64_t offset)
{
    return entry->offset <= offset;
}

static bool all_earlier(const struct entry *entry, int64_t time)
{
    return entry->max_timestamp < time;
}

uint64_t segment_seek_offset(const struct segment *segment, int64_t offset, uint64_t limit)
{
    return seek(segment, limit, offset, offset_not_after);
}

uint64_t segment_seek_time(const struct segment *segment, int64_t time, uint64_t limit)
{
    return seek(segment, limit, time, all_earlier);
}
