/*
 * Hostile bytes in the place of each structure that the log store reads. The first byte chooses which;
 * checksums in front of a decoder are put right, since otherwise nothing would come past them.
 *
 *     make fuzz-logstore    (FUZZ_SECONDS=60)
 */

#include "logstore/batch.h"
#include "logstore/bytes.h"
#include "logstore/catalog.h"
#include "logstore/crc32c.h"
#include "logstore/group_list.h"
#include "logstore/head.h"
#include "logstore/membership.h"
#include "logstore/offsets.h"
#include "logstore/quote.h"
#include "logstore/slots.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A decoder that accepts bytes must give them back when it encodes what it has read. */
static void check_same(const struct buf *encoded, struct str bytes)
{
    if (!buf_ok(encoded) || !str_equal(buf_str(encoded), bytes))
        abort();
}

static void fuzz_catalog(struct str bytes, struct error *error)
{
    struct catalog catalog = {0};
    struct buf encoded = buf_make(1 << 24);
    if (catalog_decode(&catalog, bytes, error)) {
        uint32_t end;
        catalog_encode(&catalog, &encoded);
        check_same(&encoded, bytes);
        for (uint32_t i = 0; i < catalog.count; i++)
            if (catalog_find(&catalog, catalog.topics[i].name) != &catalog.topics[i])
                abort();
        if (catalog.count > 0 && catalog_take_slots(&catalog, &catalog.topics[0], 3, &end, error) &&
            catalog.topics[0].partitions < 3)
            abort();
    }
    catalog_free(&catalog);
    buf_free(&encoded);
}

static void fuzz_group_list(struct str bytes, struct error *error)
{
    struct group_list list = {0};
    struct buf encoded = buf_make(1 << 24);
    if (group_list_decode(&list, bytes, error)) {
        group_list_encode(&list, &encoded);
        check_same(&encoded, bytes);
    }
    group_list_free(&list);
    buf_free(&encoded);
}

static void fuzz_membership(struct str bytes, struct error *error)
{
    struct membership membership = {0};
    struct catalog catalog = {0};
    struct buf encoded = buf_make(1 << 24);
    bool completed;
    if (membership_decode(&membership, bytes, error)) {
        membership_encode(&membership, &encoded);
        membership_begin_rebalance(&membership, 7);
        (void)membership_complete(&membership, &catalog, 8, &completed, error);
        while (membership.count > 0)
            membership_remove(&membership, &membership.members[0], 9);
    }
    membership_free(&membership);
    buf_free(&encoded);
}

/* A batch whose checksums are right. */
static void fuzz_batch(struct str bytes, struct error *error)
{
    struct batch batch;
    struct batch_reader reader = {0};
    struct logstore_record record;
    if (bytes.length < BATCH_HEADER_SIZE)
        return;
    uint8_t *copy = malloc(bytes.length);
    if (copy == NULL)
        return;
    memcpy(copy, bytes.bytes, bytes.length);
    (void)batch_decode_header(copy, &batch);
    batch.length = (uint32_t)bytes.length;
    batch_seal(copy, &batch);
    if (batch_decode_header(copy, &batch)) {
        uint32_t seen = 0;
        if (batch.length != bytes.length || !batch_body_whole(&batch, copy))
            abort();
        batch_reader_start(&reader, &batch, copy);
        while (batch_reader_next(&reader, &record, error))
            seen++;
        if (seen > batch.records)
            abort();
    }
    batch_reader_free(&reader);
    free(copy);
}

static void fuzz_small(struct str bytes, struct error *error)
{
    struct slot slot;
    struct offsets_entry entry;
    struct head head;
    struct quoted quoted;
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    (void)quote(bytes, &quoted);
    if (bytes.length >= SLOT_SIZE)
        (void)slot_decode(at, &slot);
    if (bytes.length >= OFFSETS_SLOT_SIZE)
        (void)offsets_decode(at, &entry);
    if (bytes.length >= HEAD_SIZE)
        (void)head_decode(at, &head, "file", error);
    if (crc32c(0, at, bytes.length) != crc32c_software(0, at, bytes.length))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const TARGETS[])(struct str bytes, struct error * error) = {
        fuzz_catalog, fuzz_group_list, fuzz_membership, fuzz_batch, fuzz_small,
    };
    struct error error = {0};
    if (size < 2)
        return 0;
    TARGETS[data[0] % (sizeof TARGETS / sizeof TARGETS[0])]((struct str){(const char *)data + 1, size - 1},
                                                            &error);
    error_clear(&error);
    return 0;
}
