#include "logstore/murmur2.h"

#include "logstore/bytes.h"
#include "logstore/logstore.h"

static const uint32_t SEED = 0x9747b28c, MULTIPLIER = 0x5bd1e995;

uint32_t murmur2(const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    uint32_t hash = SEED ^ (uint32_t)count;
    for (; count >= 4; count -= 4, at += 4) {
        uint32_t four = get32(at) * MULTIPLIER;
        four = (four ^ four >> 24) * MULTIPLIER;
        hash = hash * MULTIPLIER ^ four;
    }
    if (count > 0) {
        for (size_t i = count; i > 0; i--)
            hash ^= (uint32_t)at[i - 1] << (8 * (i - 1));
        hash *= MULTIPLIER;
    }
    hash = (hash ^ hash >> 13) * MULTIPLIER;
    return hash ^ hash >> 15;
}

uint32_t logstore_partition_for(struct str key, uint32_t partitions)
{
    /* Kafka clears the sign, since Java's numbers have one. */
    return partitions == 0 ? 0 : (murmur2(key.bytes, key.length) & INT32_MAX) % partitions;
}
