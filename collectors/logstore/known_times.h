#ifndef TIDEMARK_LOGSTORE_KNOWN_TIMES_H
#define TIDEMARK_LOGSTORE_KNOWN_TIMES_H

#include <stddef.h>
#include <stdint.h>

/* The timestamp of the record at an offset, which never changes as long as the record is there. */
struct known_time {
    uint8_t topic[16]; /* its id */
    uint32_t partition;
    int64_t offset;
    int64_t timestamp; /* -1: the place is free */
};

/* A hash table; an empty one to begin with is {0}. */
struct known_times {
    struct known_time *times; /* owned */
    size_t size, count;       /* the size is 0 or a power of two */
};

/* The timestamp; -1: not known. */
int64_t known_times_find(const struct known_times *known, const uint8_t topic[16], uint32_t partition,
                         int64_t offset);

/* Adds one that isn't there yet; `timestamp` is at least 0. */
void known_times_add(struct known_times *known, const uint8_t topic[16], uint32_t partition, int64_t offset,
                     int64_t timestamp);

void known_times_free(struct known_times *known);

#endif
