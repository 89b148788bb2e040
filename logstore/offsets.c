#include "logstore/offsets.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    AT_HALVES = 8,
    HALF_SIZE = 28,

    AT_SEQUENCE = 0,
    AT_FLAGS = 2,
    AT_CRC = 4,
    AT_OFFSET = 8,
    AT_TIME = 16,
    AT_REGION = 24,

    REGION_UNIT = 32,
    REGION_AT_CAPACITY = 0,
    REGION_AT_LENGTH = 4,
    REGION_AT_CRC = 8,
    REGION_HEADER = 16,
    REGION_MOST = 65536,

    PAGE = 4096,
    SLOTS_AT_ONCE = 2048,
    SLOTS_ADDED_LEAST = 63, /* with the head: a page */
    NAME_SIZE = 64,
    TRIES = 10, /* a half is being written for nanoseconds only */
    SCRATCH_MOST = 1 << 20,
};

/* --- one slot --------------------------------------------------------------------------------------------
 */

static uint64_t slot_position(uint32_t slot)
{
    return HEAD_SIZE + (uint64_t)OFFSETS_SLOT_SIZE * slot;
}

/* A half as four words, of which its CRC is made; read once, so that what is checked is what is used even if
 * somebody writes to the mapping in between. */
struct half_words {
    uint64_t identity, control, offset, time;
};

static inline struct half_words words_of(uint64_t identity, const uint8_t *half)
{
    struct half_words words = {identity, get32(half) | (uint64_t)get32(half + AT_REGION) << 32,
                               get64(half + AT_OFFSET), get64(half + AT_TIME)};
    /* The compiler must not look at the half again. */
    __asm__ volatile("" : "+r"(words.identity), "+r"(words.control), "+r"(words.offset), "+r"(words.time));
    return words;
}

static uint32_t words_crc(const struct half_words *words)
{
    const uint64_t bytes[] = {htole64(words->identity), htole64(words->control), htole64(words->offset),
                              htole64(words->time)};
    return crc32c(0, bytes, sizeof bytes);
}

static inline void take_words(const struct half_words *words, struct offsets_entry *entry)
{
    *entry = (struct offsets_entry){
        .identity = words->identity,
        .offset = (int64_t)words->offset,
        .time = (int64_t)words->time,
        .region = (uint32_t)(words->control >> 32),
        .sequence = (uint16_t)words->control,
        .flags = (uint16_t)(words->control >> 16),
    };
}

/* Decodes a half if it is whole. */
static bool decode_half(uint64_t identity, const uint8_t *half, struct offsets_entry *entry)
{
    struct half_words words = words_of(identity, half);
    take_words(&words, entry);
    return entry->sequence != 0 && get32(half + AT_CRC) == words_crc(&words);
}

/* Whether sequence a comes after b on the circle. */
static bool after(uint16_t a, uint16_t b)
{
    return (uint16_t)(a - b) < 0x8000 && a != b;
}

/* Even sequences are written to half A, odd ones to half B; so the circle skips from 65,535 to 2. */
static uint16_t next_sequence(uint16_t sequence)
{
    return sequence == UINT16_MAX ? 2 : (uint16_t)(sequence + 1);
}

static inline const uint8_t *newer_half(const uint8_t *bytes)
{
    const uint8_t *a = bytes + AT_HALVES, *b = a + HALF_SIZE;
    return after(get16(b + AT_SEQUENCE), get16(a + AT_SEQUENCE)) ? b : a;
}

/* Whether the slot without identity holds a value, though none that is only being put there for the first
 * time. */
static bool has_lost_identity(const uint8_t *newer, const uint8_t *older)
{
    return get16(newer + AT_SEQUENCE) != 0 && !(get16(newer + AT_FLAGS) & OFFSETS_DELETED) &&
           !(get16(older + AT_FLAGS) & OFFSETS_BLANK);
}

/* A slot has its identity from its first value on, so there are two blank halves in vain only. */
int offsets_decode(const uint8_t *bytes, struct offsets_entry *entry)
{
    uint64_t identity = get64(bytes);
    const uint8_t *newer = newer_half(bytes), *first = bytes + AT_HALVES;
    const uint8_t *older = newer == first ? first + HALF_SIZE : first;
    if (identity == 0)
        return has_lost_identity(newer, older) ? -1 : 0;
    if (!decode_half(identity, newer, entry) &&
        (!decode_half(identity, older, entry) || entry->flags & OFFSETS_BLANK))
        return -1;
    return entry->flags & OFFSETS_DELETED ? 0 : 1;
}

/* How many of the slots from the first on are in use with the newer half whole, and so can be decoded without
 * further ado: a million of them in a few milliseconds. */
#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static size_t decode_run(const uint8_t *bytes, size_t count,
                                                           struct offsets_entry *entries)
{
    for (size_t i = 0; i < count; i++, bytes += OFFSETS_SLOT_SIZE) {
        __builtin_prefetch(bytes + PAGE); /* the processor itself doesn't look beyond the end of one */
        const uint8_t *half = newer_half(bytes);
        struct half_words words = words_of(get64(bytes), half);
        uint64_t crc = _mm_crc32_u64(UINT32_MAX, words.identity);
        crc = _mm_crc32_u64(_mm_crc32_u64(_mm_crc32_u64(crc, words.control), words.offset), words.time);
        take_words(&words, &entries[i]);
        if (words.identity == 0 || entries[i].sequence == 0 || entries[i].flags & OFFSETS_DELETED ||
            get32(half + AT_CRC) != (uint32_t)~crc)
            return i;
    }
    return count;
}

static size_t decode_many(const uint8_t *bytes, size_t count, struct offsets_entry *entries)
{
    return __builtin_cpu_supports("sse4.2") ? decode_run(bytes, count, entries) : 0;
}

#else

static size_t decode_many(const uint8_t *bytes, size_t count, struct offsets_entry *entries)
{
    (void)bytes;
    (void)count;
    (void)entries;
    return 0;
}

#endif

static bool write_half(const struct offsets *offsets, uint32_t slot, const struct offsets_entry *entry,
                       struct error *error)
{
    uint8_t half[HALF_SIZE];
    put16(half + AT_SEQUENCE, entry->sequence);
    put16(half + AT_FLAGS, entry->flags);
    put64(half + AT_OFFSET, (uint64_t)entry->offset);
    put64(half + AT_TIME, (uint64_t)entry->time);
    put32(half + AT_REGION, entry->region);
    struct half_words words = words_of(entry->identity, half);
    put32(half + AT_CRC, words_crc(&words));
    uint64_t position = slot_position(slot) + AT_HALVES + HALF_SIZE * (entry->sequence & 1u);
    return fsio_write(&offsets->file, half, sizeof half, position, error);
}

static bool write_identity(const struct offsets *offsets, uint32_t slot, uint64_t identity,
                           struct error *error)
{
    uint8_t bytes[8];
    put64(bytes, identity);
    return fsio_write(&offsets->file, bytes, sizeof bytes, slot_position(slot), error);
}

static void slot_damaged(const struct offsets *offsets, uint32_t slot, struct error *error)
{
    error_set(error, ERROR_CORRUPT, "%s: neither half of the slot is whole, at %llu", offsets->file.name,
              (unsigned long long)slot_position(slot));
}

/* --- files -----------------------------------------------------------------------------------------------
 */

static void file_name(char name[NAME_SIZE], uint32_t group, const char *file)
{
    snprintf(name, NAME_SIZE, "group/%08x/%s", group, file);
}

static bool create_file(int directory, const char *file, enum head_kind kind, const struct head *like,
                        uint32_t group, uint64_t size, struct error *error)
{
    char name[NAME_SIZE];
    uint8_t bytes[HEAD_SIZE];
    struct head head = *like;
    struct file made = FILE_CLOSED;
    head.kind = kind;
    head.owner = group;
    head_encode(&head, bytes);
    file_name(name, group, file);
    bool done = fsio_remove(directory, name, 0, error) &&
                fsio_open(&made, directory, name, O_RDWR | O_CREAT | O_EXCL, error) &&
                fsio_write(&made, bytes, sizeof bytes, 0, error) && fsio_allocate(&made, size, error) &&
                fsio_sync(&made, error);
    fsio_close(&made);
    return done;
}

bool offsets_create(int directory, const struct head *head, uint32_t group, struct error *error)
{
    return create_file(directory, "offsets", HEAD_OFFSETS, head, group, slot_position(SLOTS_ADDED_LEAST),
                       error) &&
           create_file(directory, "metadata", HEAD_METADATA, head, group, HEAD_SIZE, error);
}

static bool open_file(struct file *file, int directory, const char *which, enum head_kind kind,
                      const struct head *like, uint32_t group, int flags, struct error *error)
{
    char name[NAME_SIZE];
    struct head head = *like;
    head.kind = kind;
    head.owner = group;
    file_name(name, group, which);
    return fsio_open(file, directory, name, flags, error) && head_check(file, &head, error);
}

bool offsets_open(struct offsets *offsets, int directory, const struct head *head, uint32_t group, int flags,
                  struct error *error)
{
    *offsets = (struct offsets){.file = FILE_CLOSED,
                                .metadata = FILE_CLOSED,
                                .scratch = buf_make(SCRATCH_MOST),
                                .read_only = flags == O_RDONLY};
    if (open_file(&offsets->file, directory, "offsets", HEAD_OFFSETS, head, group, flags, error) &&
        open_file(&offsets->metadata, directory, "metadata", HEAD_METADATA, head, group, flags, error))
        return true;
    offsets_close(offsets);
    return false;
}

void offsets_close(struct offsets *offsets)
{
    fsio_unmap(&offsets->mapping);
    fsio_close(&offsets->file);
    fsio_close(&offsets->metadata);
    free(offsets->table);
    buf_free(&offsets->scratch);
    *offsets = (struct offsets){.file = FILE_CLOSED, .metadata = FILE_CLOSED};
}

/* --- going over all slots --------------------------------------------------------------------------------
 */

/* Reads a slot again that was found half-written. */
static int decode_again(const struct offsets *offsets, uint32_t slot, struct offsets_entry *entry,
                        struct error *error)
{
    for (int tries = 0; tries < TRIES; tries++) {
        uint8_t bytes[OFFSETS_SLOT_SIZE];
        if (!fsio_read_exactly(&offsets->file, bytes, sizeof bytes, slot_position(slot), error))
            return -1;
        int used = offsets_decode(bytes, entry);
        if (used >= 0)
            return used;
        sched_yield();
    }
    slot_damaged(offsets, slot, error);
    return -1;
}

/* Calls `visit` with those in use of `count` slots that were read. */
static bool visit_slots(const struct offsets *offsets, const uint8_t *bytes, uint32_t slot, size_t count,
                        offsets_visit *visit, void *context, struct error *error)
{
    enum { AT_A_TIME = 64 };
    struct offsets_entry entries[AT_A_TIME];
    for (size_t done = 0; done < count;) {
        size_t left = count - done;
        const uint8_t *at = bytes + done * OFFSETS_SLOT_SIZE;
        size_t run = decode_many(at, left < AT_A_TIME ? left : AT_A_TIME, entries);
        if (run > 0) {
            visit(context, slot + (uint32_t)done, entries, run);
            done += run;
            continue;
        }
        int used = offsets_decode(at, &entries[0]);
        if (used < 0)
            used = decode_again(offsets, slot + (uint32_t)done, &entries[0], error);
        if (used < 0)
            return false;
        if (used > 0)
            visit(context, slot + (uint32_t)done, entries, 1);
        done++;
    }
    return true;
}

/* A file that was cut is told by its odd size, if it isn't cut between two slots. */
static bool check_size(const struct offsets *offsets, uint64_t size, struct error *error)
{
    if (size >= slot_position(SLOTS_ADDED_LEAST) && size % OFFSETS_SLOT_SIZE == 0)
        return true;
    error_set(error, ERROR_CORRUPT, "%s ends at %llu, where more is expected", offsets->file.name,
              (unsigned long long)size);
    return false;
}

static bool each_read(struct offsets *offsets, offsets_visit *visit, void *context, struct error *error)
{
    const size_t size = (size_t)SLOTS_AT_ONCE * OFFSETS_SLOT_SIZE;
    buf_reset(&offsets->scratch);
    uint8_t *bytes = (uint8_t *)buf_room(&offsets->scratch, size);
    if (bytes == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to read offsets");
        return false;
    }
    uint64_t file_size;
    if (!fsio_size(&offsets->file, &file_size, error) || !check_size(offsets, file_size, error))
        return false;
    for (uint32_t slot = 0;;) {
        size_t got, count;
        if (!fsio_read(&offsets->file, bytes, size, slot_position(slot), &got, error))
            return false;
        count = got / OFFSETS_SLOT_SIZE;
        if (!visit_slots(offsets, bytes, slot, count, visit, context, error))
            return false;
        slot += (uint32_t)count;
        if (got < size)
            return true;
    }
}

/* Who only reads, and does so again and again, has the file mapped. */
bool offsets_each(struct offsets *offsets, offsets_visit *visit, void *context, struct error *error)
{
    if (!offsets->read_only)
        return each_read(offsets, visit, context, error);
    if (!fsio_map(&offsets->file, &offsets->mapping, error) ||
        !check_size(offsets, offsets->mapping.length, error))
        return false;
    size_t count = offsets->mapping.length / OFFSETS_SLOT_SIZE - 1; /* without the head, which was checked */
    return visit_slots(offsets, offsets->mapping.bytes + HEAD_SIZE, 0, count, visit, context, error);
}

/* --- finding a slot --------------------------------------------------------------------------------------
 */

void offsets_locked(struct offsets *offsets)
{
    offsets->current = false;
}

/* Where the identity is in the table, or the free place where it would be. */
static struct offsets_place *place_of(const struct offsets *offsets, uint64_t identity)
{
    size_t mask = offsets->table_size - 1, at = (identity * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & mask;
    while (offsets->table[at].identity != 0 && offsets->table[at].identity != identity)
        at = (at + 1) & mask;
    return &offsets->table[at];
}

static bool grow_table(struct offsets *offsets)
{
    struct offsets old = *offsets;
    size_t size = old.table_size == 0 ? 64 : 2 * old.table_size;
    struct offsets_place *table = calloc(size, sizeof *table);
    if (table == NULL)
        return false;
    offsets->table = table;
    offsets->table_size = size;
    for (size_t i = 0; i < old.table_size; i++)
        if (old.table[i].identity != 0)
            *place_of(offsets, old.table[i].identity) = old.table[i];
    free(old.table);
    return true;
}

/* No memory for it is no failure yet: the slot will then not be found, and the caller told. */
static bool note_place(struct offsets *offsets, uint64_t identity, uint32_t slot)
{
    if (2 * (offsets->table_used + 1) > offsets->table_size && !grow_table(offsets))
        return false;
    struct offsets_place *place = place_of(offsets, identity);
    offsets->table_used += place->identity == 0;
    *place = (struct offsets_place){identity, slot};
    return true;
}

struct survey {
    struct offsets *offsets;
    bool failed;
};

static void survey_slots(void *context, uint32_t slot, const struct offsets_entry *entries, size_t count)
{
    struct survey *survey = context;
    if (survey->offsets->first_free == slot)
        survey->offsets->first_free += (uint32_t)count;
    for (size_t i = 0; i < count && !survey->failed; i++)
        survey->failed = !note_place(survey->offsets, entries[i].identity, slot + (uint32_t)i);
}

/* Makes the table anew. */
static bool survey(struct offsets *offsets, struct error *error)
{
    struct survey made = {offsets, false};
    if (offsets->table != NULL)
        memset(offsets->table, 0, offsets->table_size * sizeof *offsets->table);
    offsets->table_used = 0;
    offsets->first_free = 0;
    if (!offsets_each(offsets, survey_slots, &made, error))
        return false;
    if (made.failed)
        error_set(error, ERROR_MEMORY, "no memory for the offsets of a group");
    offsets->current = !made.failed;
    return !made.failed;
}

/* What is at the identity's place in the table, if it still is the identity's. */
static bool look_up(const struct offsets *offsets, uint64_t identity, uint32_t *slot,
                    struct offsets_entry *entry, bool *found, struct error *error)
{
    *found = false;
    if (offsets->table_size == 0)
        return true;
    const struct offsets_place *place = place_of(offsets, identity);
    if (place->identity == 0)
        return true;
    struct error damage = {0};
    int used = decode_again(offsets, place->slot, entry, &damage);
    if (used < 0) {
        *error = damage;
        return false;
    }
    *found = used > 0 && entry->identity == identity;
    *slot = place->slot;
    return true;
}

static bool find_slot(struct offsets *offsets, uint64_t identity, uint32_t *slot, struct offsets_entry *entry,
                      bool *found, struct error *error)
{
    if (!look_up(offsets, identity, slot, entry, found, error))
        return false;
    if (*found || offsets->current)
        return true;
    return survey(offsets, error) && look_up(offsets, identity, slot, entry, found, error);
}

bool offsets_find(struct offsets *offsets, uint64_t identity, struct offsets_entry *entry, bool *found,
                  struct error *error)
{
    uint32_t slot;
    return find_slot(offsets, identity, &slot, entry, found, error);
}

/* Makes the halves of a free slot blank ones of the identity; each keeps the region that it had. *sequence:
 * of the newer one. The slot's own identity is 0 from now on, until it has a value. */
static bool hand_over(const struct offsets *offsets, uint32_t slot, const uint8_t *bytes, uint64_t identity,
                      uint16_t *sequence, struct error *error)
{
    struct offsets_entry blank = {.identity = identity, .flags = OFFSETS_DELETED | OFFSETS_BLANK}, before;
    uint64_t before_identity = get64(bytes);
    if (before_identity != 0 && !write_identity(offsets, slot, 0, error))
        return false;
    *sequence = get16(newer_half(bytes) + AT_SEQUENCE);
    for (int i = 0; i < 2; i++) {
        *sequence = next_sequence(*sequence);
        const uint8_t *half = bytes + AT_HALVES + HALF_SIZE * (*sequence & 1u);
        blank.sequence = *sequence;
        blank.region = decode_half(before_identity, half, &before) ? before.region : 0;
        if (!write_half(offsets, slot, &blank, error))
            return false;
    }
    return true;
}

/* Finds a free slot for the identity, in a larger file if need be. */
static bool take_slot(struct offsets *offsets, uint64_t identity, uint32_t *slot, uint16_t *sequence,
                      struct error *error)
{
    for (*slot = offsets->first_free;; ++*slot) {
        uint8_t bytes[OFFSETS_SLOT_SIZE];
        struct offsets_entry entry;
        size_t got;
        if (!fsio_read(&offsets->file, bytes, sizeof bytes, slot_position(*slot), &got, error))
            return false;
        if (got < sizeof bytes) {
            uint32_t added = *slot < 8 * SLOTS_ADDED_LEAST ? SLOTS_ADDED_LEAST : *slot / 8;
            if (!fsio_allocate(&offsets->file, slot_position(*slot + added), error))
                return false;
            --*slot;
            continue;
        }
        if (offsets_decode(bytes, &entry) != 0)
            continue;
        offsets->first_free = *slot + 1;
        return hand_over(offsets, *slot, bytes, identity, sequence, error);
    }
}

/* --- metadata --------------------------------------------------------------------------------------------
 */

static uint32_t region_crc(const struct offsets_entry *entry, struct str metadata)
{
    uint8_t bytes[10];
    put64(bytes, entry->identity);
    put16(bytes + 8, entry->sequence);
    return crc32c(crc32c(0, bytes, sizeof bytes), metadata.bytes, metadata.length);
}

/* The region that belongs to the half which is to be overwritten; 0: none, or none that can be relied on. */
static bool own_region(const struct offsets *offsets, uint32_t slot, const struct offsets_entry *entry,
                       uint32_t *region, uint32_t *capacity, struct error *error)
{
    uint8_t half[HALF_SIZE], header[REGION_HEADER];
    uint64_t position = slot_position(slot) + AT_HALVES + HALF_SIZE * (entry->sequence & 1u);
    size_t got;
    *region = 0;
    *capacity = 0;
    if (!fsio_read_exactly(&offsets->file, half, sizeof half, position, error))
        return false;
    struct offsets_entry before;
    if (!decode_half(entry->identity, half, &before) || before.region == 0)
        return true;
    uint64_t at = (uint64_t)before.region * REGION_UNIT;
    if (!fsio_read(&offsets->metadata, header, sizeof header, at, &got, error))
        return false;
    if (got == sizeof header && get32(header + REGION_AT_CAPACITY) <= REGION_MOST) {
        *region = before.region;
        *capacity = get32(header + REGION_AT_CAPACITY);
    }
    return true;
}

/* A new region at the end of the file. */
static bool add_region(const struct offsets *offsets, size_t length, uint32_t *region, uint32_t *capacity,
                       struct error *error)
{
    uint64_t size;
    size_t room = 2 * (size_t)REGION_UNIT;
    while (room - REGION_HEADER < length)
        room *= 2;
    if (!fsio_size(&offsets->metadata, &size, error))
        return false;
    uint64_t index = (size + REGION_UNIT - 1) / REGION_UNIT;
    if (index > UINT32_MAX) {
        error_set(error, ERROR_UNAVAILABLE, "%s is full", offsets->metadata.name);
        return false;
    }
    *region = (uint32_t)index;
    *capacity = (uint32_t)(room - REGION_HEADER);
    return fsio_allocate(&offsets->metadata, index * REGION_UNIT + room, error);
}

/* Puts the metadata, if there is any, where the half to be written will find it; sets entry->region. */
static bool write_metadata(struct offsets *offsets, uint32_t slot, struct offsets_entry *entry,
                           struct str metadata, struct error *error)
{
    uint32_t capacity;
    if (!own_region(offsets, slot, entry, &entry->region, &capacity, error))
        return false;
    if (!(entry->flags & OFFSETS_METADATA))
        return true;
    if ((entry->region == 0 || capacity < metadata.length) &&
        !add_region(offsets, metadata.length, &entry->region, &capacity, error))
        return false;
    buf_reset(&offsets->scratch);
    uint8_t *bytes = (uint8_t *)buf_room(&offsets->scratch, REGION_HEADER + metadata.length);
    if (bytes == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for metadata");
        return false;
    }
    memset(bytes, 0, REGION_HEADER);
    put32(bytes + REGION_AT_CAPACITY, capacity);
    put32(bytes + REGION_AT_LENGTH, (uint32_t)metadata.length);
    put32(bytes + REGION_AT_CRC, region_crc(entry, metadata));
    memcpy(bytes + REGION_HEADER, metadata.bytes, metadata.length);
    return fsio_write(&offsets->metadata, bytes, REGION_HEADER + metadata.length,
                      (uint64_t)entry->region * REGION_UNIT, error) &&
           (!offsets->careful || fsio_sync(&offsets->metadata, error));
}

bool offsets_metadata(const struct offsets *offsets, const struct offsets_entry *entry, struct buf *metadata,
                      struct error *error)
{
    uint8_t header[REGION_HEADER];
    uint64_t position = (uint64_t)entry->region * REGION_UNIT;
    buf_reset(metadata);
    if (!(entry->flags & OFFSETS_METADATA))
        return true;
    if (!fsio_read_exactly(&offsets->metadata, header, sizeof header, position, error))
        return false;
    size_t length = get32(header + REGION_AT_LENGTH), got = 0;
    char *room = length <= REGION_MOST ? buf_room(metadata, length) : NULL;
    if (room != NULL && !fsio_read(&offsets->metadata, room, length, position + REGION_HEADER, &got, error))
        return false;
    if (room == NULL || got < length ||
        get32(header + REGION_AT_CRC) != region_crc(entry, (struct str){room, length})) {
        error_set(error, ERROR_NOT_FOUND, "%s: the metadata at %llu is of another commit",
                  offsets->metadata.name, (unsigned long long)position);
        return false;
    }
    buf_claim(metadata, length);
    return true;
}

/* --- writing ---------------------------------------------------------------------------------------------
 */

bool offsets_put(struct offsets *offsets, const struct offsets_entry *entry, struct str metadata,
                 struct error *error)
{
    uint32_t slot;
    bool found;
    struct offsets_entry before = {0}, next = *entry;
    if (!find_slot(offsets, entry->identity, &slot, &before, &found, error))
        return false;
    uint16_t sequence = before.sequence;
    if (!found && !take_slot(offsets, entry->identity, &slot, &sequence, error))
        return false;
    next.sequence = next_sequence(sequence);
    next.region = 0;
    if (!write_metadata(offsets, slot, &next, metadata, error) || !write_half(offsets, slot, &next, error))
        return false;
    if (found)
        return true;
    if (!write_identity(offsets, slot, next.identity, error))
        return false;
    if (note_place(offsets, next.identity, slot))
        return true;
    offsets->current = false; /* so it will be looked for in the file */
    return true;
}

bool offsets_delete(struct offsets *offsets, uint64_t identity, struct error *error)
{
    uint32_t slot;
    bool found;
    struct offsets_entry entry;
    if (!find_slot(offsets, identity, &slot, &entry, &found, error))
        return false;
    if (!found)
        return true;
    entry.sequence = next_sequence(entry.sequence);
    entry.flags = OFFSETS_DELETED;
    if (!write_metadata(offsets, slot, &entry, STR_LITERAL(""), error) ||
        !write_half(offsets, slot, &entry, error))
        return false;
    offsets->current = false; /* the table has no way to forget one */
    if (slot < offsets->first_free)
        offsets->first_free = slot;
    return true;
}

static bool write_file_again(const struct file *file, uint8_t *bytes, size_t size, struct error *error)
{
    size_t got = size;
    for (uint64_t position = 0; got == size; position += got)
        if (!fsio_read(file, bytes, size, position, &got, error) ||
            !fsio_write(file, bytes, got, position, error))
            return false;
    return true;
}

bool offsets_write_again(struct offsets *offsets, struct error *error)
{
    const size_t size = (size_t)SLOTS_AT_ONCE * OFFSETS_SLOT_SIZE;
    buf_reset(&offsets->scratch);
    uint8_t *bytes = (uint8_t *)buf_room(&offsets->scratch, size);
    if (bytes == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to write offsets again");
        return false;
    }
    return write_file_again(&offsets->metadata, bytes, size, error) &&
           write_file_again(&offsets->file, bytes, size, error);
}
