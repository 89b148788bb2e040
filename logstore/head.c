#include "logstore/head.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_KIND = 10,
    AT_CRC = 12,
    AT_STORE = 16,
    AT_OWNER = 32,
    AT_BASE = 40,
    AT_INSTANCE = 48,
    AT_MADE = 56,
};

static const char MAGIC[8] = {'t', 'i', 'd', 'e', 'm', 'a', 'r', 'k'};

static uint32_t crc_of(const uint8_t bytes[HEAD_SIZE])
{
    return crc32c(crc32c(0, bytes, AT_CRC), bytes + AT_STORE, HEAD_SIZE - AT_STORE);
}

uint32_t head_encode(const struct head *head, uint8_t bytes[HEAD_SIZE])
{
    memcpy(bytes + AT_MAGIC, MAGIC, sizeof MAGIC);
    put16(bytes + AT_VERSION, FORMAT_VERSION);
    put16(bytes + AT_KIND, (uint16_t)head->kind);
    memcpy(bytes + AT_STORE, head->store, STORE_ID_SIZE);
    put64(bytes + AT_OWNER, head->owner);
    put64(bytes + AT_BASE, head->base);
    put64(bytes + AT_INSTANCE, head->instance);
    put64(bytes + AT_MADE, (uint64_t)head->made);
    uint32_t crc = crc_of(bytes);
    put32(bytes + AT_CRC, crc);
    return crc;
}

bool head_decode(const uint8_t bytes[HEAD_SIZE], struct head *head, const char *name, struct error *error)
{
    if (memcmp(bytes + AT_MAGIC, MAGIC, sizeof MAGIC) != 0) {
        error_set(error, ERROR_CORRUPT, "%s is no file of a log store: it doesn't begin as one", name);
        return false;
    }
    if (get16(bytes + AT_VERSION) != FORMAT_VERSION) {
        error_set(error, ERROR_UNSUPPORTED, "%s has format version %d; this program knows version %d", name,
                  get16(bytes + AT_VERSION), FORMAT_VERSION);
        return false;
    }
    if (get32(bytes + AT_CRC) != crc_of(bytes)) {
        error_set(error, ERROR_CORRUPT, "%s: bad checksum in the head, at 0", name);
        return false;
    }
    head->kind = (enum head_kind)get16(bytes + AT_KIND);
    memcpy(head->store, bytes + AT_STORE, STORE_ID_SIZE);
    head->owner = get64(bytes + AT_OWNER);
    head->base = get64(bytes + AT_BASE);
    head->instance = get64(bytes + AT_INSTANCE);
    head->made = (int64_t)get64(bytes + AT_MADE);
    return true;
}

bool head_check(const struct file *file, struct head *expected, struct error *error)
{
    uint8_t bytes[HEAD_SIZE];
    struct head found;
    if (!fsio_read_exactly(file, bytes, sizeof bytes, 0, error) ||
        !head_decode(bytes, &found, file->name, error))
        return false;
    if (found.kind != expected->kind || found.owner != expected->owner ||
        memcmp(found.store, expected->store, STORE_ID_SIZE) != 0) {
        error_set(error, ERROR_CORRUPT, "%s belongs to another place: a file was copied or renamed",
                  file->name);
        return false;
    }
    *expected = found;
    return true;
}
