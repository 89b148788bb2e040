#ifndef TIDEMARK_KAFKA_WIRE_H
#define TIDEMARK_KAFKA_WIRE_H

#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the primitive types of Kafka's protocol (https://kafka.apache.org/protocol#protocol_types) out of
 * bytes that nobody vouches for. The first read beyond the end, or of what can't be, is latched: it and all
 * after it give zeros, and wire_ok() tells at the end. Nothing is copied: texts point into the bytes.
 */
struct wire {
    const unsigned char *next, *end;
    bool is_flexible; /* lengths are varints, and structures end with tagged fields (KIP-482) */
    bool has_failed;
};

struct wire wire_of(const void *bytes, size_t length);

bool wire_ok(const struct wire *wire);

int8_t wire_int8(struct wire *wire);
int16_t wire_int16(struct wire *wire);
int32_t wire_int32(struct wire *wire);
int64_t wire_int64(struct wire *wire);

/* A string; without bytes (NULL) if it is null. */
struct str wire_string(struct wire *wire);

/* Bytes; as above. */
struct str wire_bytes(struct wire *wire);

/* How many elements an array has; none if it is null. Never more than could follow, each of at least
 * `least` bytes (not 0), so that who loops over it comes to an end. */
size_t wire_array(struct wire *wire, size_t least);

void wire_skip(struct wire *wire, size_t count);

/* How many tagged fields end a structure: none where the version isn't flexible. Of each, its tag comes next,
 * and what it holds is skipped or read out of the bytes that wire_tagged() gives. */
size_t wire_tagged_fields(struct wire *wire);
struct wire wire_tagged(struct wire *wire, uint32_t *tag);

/* Skips the tagged fields that end a structure. */
void wire_end(struct wire *wire);

#endif
