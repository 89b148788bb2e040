#include "logstore/slots.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"
#include "logstore/head.h"

#include <sched.h>

enum {
    AT_SEQUENCE = 0,
    AT_TOPIC = 8,
    AT_PARTITION = 12,
    AT_START = 16,
    AT_START_TIMESTAMP = 24,
    AT_END = 32,
    AT_WRITTEN = 40,
    AT_SEGMENT = 48,
    AT_POSITION = 56,
    AT_BATCH_POSITION = 64,
    AT_DURABLE = 72,
    AT_DURABLE_POSITION = 80,
    AT_BOOT = 88,
    AT_MAX_TIMESTAMP = 96,
    AT_SEGMENT_BEGAN = 104,
    AT_CHAIN = 112,
    AT_OPEN_SYNCS = 116,
    AT_CRC = 124,
    HALF_SIZE = 128,

    TRIES = 10, /* a half is being written for nanoseconds only */
};

static uint64_t slot_position(uint32_t index)
{
    return SLOTS_BEGIN + (uint64_t)SLOT_SIZE * index;
}

uint64_t slot_lock_position(uint32_t index, enum slot_lock lock)
{
    return slot_position(index) + lock;
}

static void encode_half(const struct slot *slot, uint8_t bytes[HALF_SIZE])
{
    memset(bytes, 0, HALF_SIZE);
    put64(bytes + AT_SEQUENCE, slot->sequence);
    put32(bytes + AT_TOPIC, slot->topic);
    put32(bytes + AT_PARTITION, slot->partition);
    put64(bytes + AT_START, (uint64_t)slot->start);
    put64(bytes + AT_START_TIMESTAMP, (uint64_t)slot->start_timestamp);
    put64(bytes + AT_END, (uint64_t)slot->end);
    put64(bytes + AT_WRITTEN, (uint64_t)slot->written);
    put64(bytes + AT_SEGMENT, (uint64_t)slot->segment);
    put64(bytes + AT_POSITION, slot->position);
    put64(bytes + AT_BATCH_POSITION, slot->batch_position);
    put64(bytes + AT_DURABLE, (uint64_t)slot->durable);
    put64(bytes + AT_DURABLE_POSITION, slot->durable_position);
    put64(bytes + AT_BOOT, slot->boot);
    put64(bytes + AT_MAX_TIMESTAMP, (uint64_t)slot->max_timestamp);
    put64(bytes + AT_SEGMENT_BEGAN, (uint64_t)slot->segment_began);
    put32(bytes + AT_CHAIN, slot->chain);
    put32(bytes + AT_OPEN_SYNCS, slot->open_syncs);
    put32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

static bool half_whole(const uint8_t bytes[HALF_SIZE])
{
    return get64(bytes + AT_SEQUENCE) != 0 && get32(bytes + AT_CRC) == crc32c(0, bytes, AT_CRC);
}

static bool half_written(const uint8_t bytes[HALF_SIZE])
{
    static const uint8_t zeros[HALF_SIZE];
    return memcmp(bytes, zeros, HALF_SIZE) != 0;
}

static void decode_half(const uint8_t bytes[HALF_SIZE], struct slot *slot)
{
    *slot = (struct slot){
        .sequence = get64(bytes + AT_SEQUENCE),
        .topic = get32(bytes + AT_TOPIC),
        .partition = get32(bytes + AT_PARTITION),
        .start = (int64_t)get64(bytes + AT_START),
        .start_timestamp = (int64_t)get64(bytes + AT_START_TIMESTAMP),
        .end = (int64_t)get64(bytes + AT_END),
        .written = (int64_t)get64(bytes + AT_WRITTEN),
        .segment = (int64_t)get64(bytes + AT_SEGMENT),
        .position = get64(bytes + AT_POSITION),
        .batch_position = get64(bytes + AT_BATCH_POSITION),
        .durable = (int64_t)get64(bytes + AT_DURABLE),
        .durable_position = get64(bytes + AT_DURABLE_POSITION),
        .boot = get64(bytes + AT_BOOT),
        .max_timestamp = (int64_t)get64(bytes + AT_MAX_TIMESTAMP),
        .segment_began = (int64_t)get64(bytes + AT_SEGMENT_BEGAN),
        .chain = get32(bytes + AT_CHAIN),
        .open_syncs = get32(bytes + AT_OPEN_SYNCS),
    };
}

/* Half A holds even sequences, half B odd ones. */
bool slot_decode(const uint8_t *bytes, struct slot *slot)
{
    const uint8_t *a = bytes, *b = bytes + HALF_SIZE;
    bool b_newer = get64(b + AT_SEQUENCE) > get64(a + AT_SEQUENCE);
    const uint8_t *newer = b_newer ? b : a, *older = b_newer ? a : b;
    bool newer_whole = half_whole(newer), older_whole = half_whole(older);
    if (newer_whole || older_whole) {
        const uint8_t *other = newer_whole ? older : newer;
        decode_half(newer_whole ? newer : older, slot);
        slot->torn = !(newer_whole && older_whole) && half_written(other);
    }
    return newer_whole || older_whole;
}

bool slot_read(const struct file *file, uint32_t index, struct slot *slot, struct error *error)
{
    for (int tries = 0; tries < TRIES; tries++) {
        uint8_t bytes[SLOT_SIZE];
        if (!fsio_read_exactly(file, bytes, sizeof bytes, slot_position(index), error))
            return false;
        if (slot_decode(bytes, slot))
            return true;
        sched_yield();
    }
    error_set(error, ERROR_CORRUPT, "%s: neither half of the slot is whole, at %llu", file->name,
              (unsigned long long)slot_position(index));
    return false;
}

bool slot_write(const struct file *file, uint32_t index, struct slot *slot, struct error *error)
{
    uint8_t bytes[HALF_SIZE];
    slot->sequence++;
    encode_half(slot, bytes);
    return fsio_write(file, bytes, sizeof bytes, slot_position(index) + (slot->sequence & 1) * HALF_SIZE,
                      error);
}

bool slot_assign(const struct file *file, uint32_t index, uint32_t topic, uint32_t partition,
                 struct error *error)
{
    uint8_t bytes[SLOT_SIZE];
    size_t got;
    struct slot before = {0};
    if (!fsio_allocate(file, slot_position(index) + SLOT_SIZE, error) ||
        !fsio_read(file, bytes, sizeof bytes, slot_position(index), &got, error))
        return false;
    if (got == sizeof bytes)
        (void)slot_decode(bytes, &before); /* what isn't whole was never in use */
    struct slot empty = {
        .sequence = before.sequence,
        .topic = topic,
        .partition = partition,
        .start_timestamp = -1,
        .segment = -1,
        .boot = fsio_boot(),
        .max_timestamp = -1,
    };
    return slot_write(file, index, &empty, error);
}
