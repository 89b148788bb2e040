#include "collectors/kafka/wire.h"

struct wire wire_of(const void *bytes, size_t length)
{
    const unsigned char *first = bytes;
    return (struct wire){.next = first, .end = length > 0 ? first + length : first};
}

bool wire_ok(const struct wire *wire)
{
    return !wire->has_failed;
}

static void fail(struct wire *wire)
{
    wire->has_failed = true;
    wire->next = wire->end;
}

/* The next `count` bytes, or NULL when there aren't as many. */
static const unsigned char *take(struct wire *wire, size_t count)
{
    const unsigned char *taken = wire->next;
    if (wire->has_failed || count > (size_t)(wire->end - wire->next)) {
        fail(wire);
        return NULL;
    }
    wire->next += count;
    return taken;
}

static uint64_t big_endian(struct wire *wire, size_t count)
{
    const unsigned char *bytes = take(wire, count);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

int8_t wire_int8(struct wire *wire)
{
    return (int8_t)big_endian(wire, 1);
}

int16_t wire_int16(struct wire *wire)
{
    return (int16_t)big_endian(wire, 2);
}

int32_t wire_int32(struct wire *wire)
{
    return (int32_t)big_endian(wire, 4);
}

int64_t wire_int64(struct wire *wire)
{
    return (int64_t)big_endian(wire, 8);
}

/* At most five bytes of seven bits each, the lowest first. */
static uint32_t unsigned_varint(struct wire *wire)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint64_t byte = big_endian(wire, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if (value > UINT32_MAX)
                fail(wire);
            return wire->has_failed ? 0 : (uint32_t)value;
        }
    }
    fail(wire);
    return 0;
}

/* A length as it stands before strings, bytes and arrays; -1 for null. The compact form is one more. */
static int64_t length_of(struct wire *wire, bool is_short)
{
    int64_t length = wire->is_flexible ? (int64_t)unsigned_varint(wire) - 1
                     : is_short        ? wire_int16(wire)
                                       : wire_int32(wire);
    if (wire->has_failed || length < -1) {
        fail(wire);
        return -1;
    }
    return length;
}

static struct str run_of(struct wire *wire, int64_t length)
{
    const unsigned char *bytes = length < 0 ? NULL : take(wire, (size_t)length);
    return (struct str){(const char *)bytes, bytes == NULL ? 0 : (size_t)length};
}

struct str wire_string(struct wire *wire)
{
    return run_of(wire, length_of(wire, true));
}

struct str wire_bytes(struct wire *wire)
{
    return run_of(wire, length_of(wire, false));
}

size_t wire_array(struct wire *wire, size_t least)
{
    int64_t length = length_of(wire, false);
    if (length > 0 && (size_t)length > (size_t)(wire->end - wire->next) / least)
        fail(wire);
    return wire->has_failed || length < 0 ? 0 : (size_t)length;
}

void wire_skip(struct wire *wire, size_t count)
{
    take(wire, count);
}

size_t wire_tagged_fields(struct wire *wire)
{
    size_t count = wire->is_flexible ? unsigned_varint(wire) : 0;
    if (count > (size_t)(wire->end - wire->next) / 2) /* each has a tag and a size */
        fail(wire);
    return wire->has_failed ? 0 : count;
}

struct wire wire_tagged(struct wire *wire, uint32_t *tag)
{
    *tag = unsigned_varint(wire);
    uint32_t size = unsigned_varint(wire);
    const unsigned char *bytes = take(wire, size);
    return (struct wire){
        .next = bytes,
        .end = bytes == NULL ? NULL : bytes + size,
        .is_flexible = wire->is_flexible,
        .has_failed = bytes == NULL,
    };
}

void wire_end(struct wire *wire)
{
    uint32_t tag;
    for (size_t left = wire_tagged_fields(wire); left > 0 && wire_ok(wire); left--)
        wire_tagged(wire, &tag);
}
