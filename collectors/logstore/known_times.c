#include "collectors/logstore/known_times.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

/* Where it is, or the free place where it would be. */
static struct known_time *place_of(const struct known_times *known, const uint8_t topic[16],
                                   uint32_t partition, int64_t offset)
{
    uint64_t halves[2];
    memcpy(halves, topic, sizeof halves);
    uint64_t hash = (halves[0] ^ halves[1] ^ (uint64_t)offset) * UINT64_C(0x9e3779b97f4a7c15) ^ partition;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    for (size_t at = (size_t)(hash >> 32);; at++) {
        struct known_time *place = &known->times[at & (known->size - 1)];
        if (place->timestamp < 0 || (place->offset == offset && place->partition == partition &&
                                     memcmp(place->topic, topic, sizeof place->topic) == 0))
            return place;
    }
}

int64_t known_times_find(const struct known_times *known, const uint8_t topic[16], uint32_t partition,
                         int64_t offset)
{
    return known->size == 0 ? -1 : place_of(known, topic, partition, offset)->timestamp;
}

static void grow(struct known_times *known)
{
    struct known_times larger = {.size = known->size == 0 ? FIRST_SIZE : 2 * known->size,
                                 .count = known->count};
    larger.times = MEM_ARRAY(larger.size, struct known_time);
    for (size_t i = 0; i < larger.size; i++)
        larger.times[i].timestamp = -1;
    for (size_t i = 0; i < known->size; i++) {
        const struct known_time *time = &known->times[i];
        if (time->timestamp >= 0)
            *place_of(&larger, time->topic, time->partition, time->offset) = *time;
    }
    free(known->times);
    *known = larger;
}

void known_times_add(struct known_times *known, const uint8_t topic[16], uint32_t partition, int64_t offset,
                     int64_t timestamp)
{
    if (3 * (known->count + 1) > 2 * known->size)
        grow(known);
    struct known_time *place = place_of(known, topic, partition, offset);
    *place = (struct known_time){.partition = partition, .offset = offset, .timestamp = timestamp};
    memcpy(place->topic, topic, sizeof place->topic);
    known->count++;
}

void known_times_free(struct known_times *known)
{
    free(known->times);
    *known = (struct known_times){0};
}
