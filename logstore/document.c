#include "logstore/document.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"

#include <fcntl.h>
#include <sched.h>

enum {
    AT_HALVES = 64,
    HALF_DISTANCE = 64,
    AT_VALUES = 192,

    AT_SEQUENCE = 0,
    AT_POSITION = 8,
    AT_LENGTH = 16,
    AT_VALUE_CRC = 24,
    AT_CRC = 28,
    HALF_SIZE = 32,

    TRIES = 20, /* to read between the changes of busy writers */
};

struct half {
    uint64_t sequence, position, length;
    uint32_t value_crc;
};

/* Half A, at 64, holds even sequences, half B odd ones. */
static uint64_t half_position(uint64_t sequence)
{
    return AT_HALVES + HALF_DISTANCE * (sequence & 1);
}

static void encode_half(const struct half *half, uint8_t bytes[HALF_SIZE])
{
    put64(bytes + AT_SEQUENCE, half->sequence);
    put64(bytes + AT_POSITION, half->position);
    put64(bytes + AT_LENGTH, half->length);
    put32(bytes + AT_VALUE_CRC, half->value_crc);
    put32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

/* A half that isn't whole gets sequence 0. */
static struct half decode_half(const uint8_t bytes[HALF_SIZE])
{
    if (get32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))
        return (struct half){0};
    return (struct half){get64(bytes + AT_SEQUENCE), get64(bytes + AT_POSITION), get64(bytes + AT_LENGTH),
                         get32(bytes + AT_VALUE_CRC)};
}

/* The halves, the newer one first. */
static bool read_halves(const struct document *document, struct half halves[2], struct error *error)
{
    uint8_t bytes[AT_VALUES - AT_HALVES];
    if (!fsio_read_exactly(&document->file, bytes, sizeof bytes, AT_HALVES, error))
        return false;
    struct half a = decode_half(bytes), b = decode_half(bytes + HALF_DISTANCE);
    bool b_newer = b.sequence > a.sequence;
    halves[0] = b_newer ? b : a;
    halves[1] = b_newer ? a : b;
    return true;
}

bool document_create(int directory, const char *name, const struct head *head, struct str value,
                     struct error *error)
{
    struct document document = {FILE_CLOSED, 0};
    uint8_t bytes[AT_VALUES] = {0};
    head_encode(head, bytes);
    bool done = fsio_remove(directory, name, 0, error) &&
                fsio_open(&document.file, directory, name, O_RDWR | O_CREAT | O_EXCL, error) &&
                fsio_write(&document.file, bytes, sizeof bytes, 0, error) &&
                document_write(&document, value, error);
    document_close(&document);
    return done;
}

bool document_open(struct document *document, int directory, const char *name, int flags, struct head *head,
                   struct error *error)
{
    *document = (struct document){FILE_CLOSED, 0};
    if (fsio_open(&document->file, directory, name, flags, error) && head_check(&document->file, head, error))
        return true;
    document_close(document);
    return false;
}

void document_close(struct document *document)
{
    fsio_close(&document->file);
    document->sequence = 0;
}

bool document_changed(struct document *document, bool *changed, struct error *error)
{
    struct half halves[2];
    if (!read_halves(document, halves, error))
        return false;
    *changed = halves[0].sequence != document->sequence || document->sequence == 0;
    return true;
}

/* Reads what the half tells of; *whole says whether it is there unharmed. */
static bool read_value(const struct document *document, const struct half *half, struct buf *value,
                       bool *whole, struct error *error)
{
    uint64_t size;
    *whole = false;
    if (half->sequence == 0)
        return true;
    if (!fsio_size(&document->file, &size, error))
        return false;
    if (half->position < AT_VALUES || half->position > size || half->length > size - half->position)
        return true;
    buf_reset(value);
    char *room = buf_room(value, half->length);
    if (room == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for %llu bytes of %s", (unsigned long long)half->length,
                  document->file.name);
        return false;
    }
    size_t got;
    if (!fsio_read(&document->file, room, half->length, half->position, &got, error))
        return false;
    *whole = got == half->length && crc32c(0, room, got) == half->value_crc;
    buf_claim(value, got);
    return true;
}

/* A value is on the disk before the half that tells of it; so where the half is whole, a value that stays
 * wrong is damaged, and the one before it would be an old one. */
bool document_read(struct document *document, struct buf *value, struct error *error)
{
    struct half halves[2];
    for (int tries = 0; tries < TRIES; tries++) {
        bool whole;
        if (!read_halves(document, halves, error) || !read_value(document, &halves[0], value, &whole, error))
            return false;
        if (whole) {
            document->sequence = halves[0].sequence;
            return true;
        }
        sched_yield();
    }
    error_set(error, ERROR_CORRUPT, "%s: bad checksum in the value, at %llu", document->file.name,
              (unsigned long long)(halves[0].sequence == 0 ? AT_HALVES : halves[0].position));
    return false;
}

static bool is_clear(const struct half *half, uint64_t position, uint64_t length)
{
    return half->sequence == 0 || position + length <= half->position ||
           position >= half->position + half->length;
}

/* Where a value of this length touches neither the present one nor the one before, which is what there is
 * should the present half not be on the disk yet. */
static uint64_t free_place(const struct half halves[2], uint64_t length)
{
    const uint64_t places[] = {AT_VALUES, halves[0].position + halves[0].length,
                               halves[1].position + halves[1].length};
    for (int i = 0; i < 2; i++)
        if (places[i] >= AT_VALUES && is_clear(&halves[0], places[i], length) &&
            is_clear(&halves[1], places[i], length))
            return places[i];
    return places[2];
}

static bool write_half(const struct document *document, const struct half *half, struct error *error)
{
    uint8_t bytes[HALF_SIZE];
    encode_half(half, bytes);
    return fsio_write(&document->file, bytes, sizeof bytes, half_position(half->sequence), error);
}

static bool publish(const struct document *document, const struct half *half, struct error *error)
{
    return write_half(document, half, error) && fsio_sync(&document->file, error);
}

/* Whoever wrote the present half may have died before it was on the disk, or its sync may have failed, after
 * which the kernel takes it for written: so it is written and synced once more. For the same reason the new
 * half, which everybody sees from now on, gets a second try. */
bool document_write(struct document *document, struct str value, struct error *error)
{
    struct half halves[2];
    if (!read_halves(document, halves, error))
        return false;
    struct half next = {halves[0].sequence + 1, free_place(halves, value.length), value.length,
                        crc32c(0, value.bytes, value.length)};
    if (!fsio_write(&document->file, value.bytes, value.length, next.position, error) ||
        (halves[0].sequence != 0 && !write_half(document, &halves[0], error)) ||
        !fsio_sync(&document->file, error))
        return false;
    struct error first = {0};
    bool done = publish(document, &next, &first);
    if (!done) {
        error_clear(&first);
        done = publish(document, &next, error);
    }
    if (done)
        document->sequence = next.sequence;
    return done;
}

/* After a sync that failed the kernel takes the halves for written. The head, which never changes, is written
 * once more: it lies in the same block of the disk, so that block counts as changed again. */
bool document_sync(const struct document *document, struct error *error)
{
    uint8_t head[HEAD_SIZE];
    return fsio_read_exactly(&document->file, head, sizeof head, 0, error) &&
           fsio_write(&document->file, head, sizeof head, 0, error) && fsio_sync(&document->file, error);
}

bool document_take_version(struct cursor *cursor, const char *what, uint32_t known, uint32_t *version,
                           struct error *error)
{
    *version = cursor_u32(cursor);
    if (*version >= 1 && *version <= known)
        return true;
    error_set(error, ERROR_UNSUPPORTED, "%s has format version %u; this program knows up to version %u", what,
              *version, known);
    return false;
}
