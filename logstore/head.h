#ifndef LOGSTORE_HEAD_H
#define LOGSTORE_HEAD_H

#include "logstore/fsio.h"

enum { HEAD_SIZE = 64, STORE_ID_SIZE = 16, FORMAT_VERSION = 1 };

enum head_kind {
    HEAD_STORE = 1,
    HEAD_DOCUMENT,
    HEAD_PARTITIONS,
    HEAD_OFFSETS,
    HEAD_METADATA,
    HEAD_SEGMENT,
    HEAD_INDEX,
};

/* What the first bytes of every file say (FORMAT.md, "Head"). */
struct head {
    enum head_kind kind;
    uint8_t store[STORE_ID_SIZE];
    uint64_t owner;
    uint64_t base;
    uint64_t instance;
    int64_t made;
};

/* Returns the CRC of the head. */
uint32_t head_encode(const struct head *head, uint8_t bytes[HEAD_SIZE]);

/* ERROR_CORRUPT, or ERROR_UNSUPPORTED for another version; the error calls the file `name`. */
bool head_decode(const uint8_t bytes[HEAD_SIZE], struct head *head, const char *name, struct error *error);

/* Reads the head and compares kind, store and owner with those in `expected`, whose rest is filled in. */
bool head_check(const struct file *file, struct head *expected, struct error *error);

#endif
