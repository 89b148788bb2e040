#include "collectors/kafka/group_record.h"

#include "collectors/kafka/wire.h"

/* The kinds of keys, which stand where other records have their key's version. */
enum {
    KEY_LEGACY_COMMIT = 0,
    KEY_COMMIT = 1,
    KEY_CLASSIC_GROUP = 2,
    KEY_CONSUMER_GROUP = 3,
    KEY_CONSUMER_GROUP_MEMBER = 5,
    KEY_CONSUMER_GROUP_CURRENT_ASSIGNMENT = 8,
    KEYS_KNOWN = 24, /* below: other records of groups up to Kafka 4.3 */
};

/* The versions of values: up to the last one known, and flexible from the first one on that is. */
enum { COMMIT_LAST = 4, COMMIT_FLEXIBLE = 4, CLASSIC_LAST = 4, CLASSIC_FLEXIBLE = 4, CONSUMER_LAST = 0 };

/* The least bytes of an element. */
enum { LEAST_MEMBER = 8, LEAST_TOPIC = 6, LEAST_ASSIGNED = 17 };

static const struct str consumers = {"consumer", 8};

/* The version that a value begins with; false when it is a later one than `last`. */
static bool begin_value(struct wire *wire, int16_t last, int16_t flexible, int16_t *version)
{
    *version = wire_int16(wire);
    wire->is_flexible = *version >= flexible;
    return wire_ok(wire) && *version >= 0 && *version <= last;
}

/* --- commits ------------------------------------------------------------------------------------------- */

static bool read_commit(struct wire *key, struct wire *value, struct kafka_group_record *record)
{
    int16_t version;
    record->commit.topic = wire_string(key);
    record->commit.partition = wire_int32(key);
    if (record->commit.topic.length == 0 || record->commit.partition < 0)
        return false;
    if (record->is_gone)
        return true;
    if (!begin_value(value, COMMIT_LAST, COMMIT_FLEXIBLE, &version))
        return false;
    record->commit.offset = wire_int64(value);
    if (version >= 3)
        wire_int32(value); /* the leader's epoch */
    wire_string(value);    /* metadata */
    record->commit.time = wire_int64(value);
    if (version == 1)
        wire_int64(value); /* when it expires, which the broker's setting says today */
    wire_end(value);
    return record->commit.offset >= 0;
}

/* --- groups of the classic protocol -------------------------------------------------------------------- */

/* How many partitions there are in an assignment of the consumers' protocol; -1: that can't be told
 * (clients/src/main/resources/common/message/ConsumerProtocolAssignment.json). */
static int64_t count_assigned(struct str assignment)
{
    struct wire wire = wire_of(assignment.bytes, assignment.length);
    int64_t assigned = 0;
    if (assignment.length == 0)
        return 0;
    wire_int16(&wire); /* its version: later ones only add fields at the end */
    for (size_t topics = wire_array(&wire, LEAST_TOPIC); topics > 0 && wire_ok(&wire); topics--) {
        wire_string(&wire);
        size_t partitions = wire_array(&wire, sizeof(int32_t));
        wire_skip(&wire, partitions * sizeof(int32_t));
        assigned += (int64_t)partitions;
    }
    return wire_ok(&wire) ? assigned : -1;
}

bool kafka_classic_next(struct kafka_classic_list *list, struct kafka_classic_member *member)
{
    struct wire *wire = &list->wire;
    if (list->left == 0)
        return false;
    list->left--;
    wire_string(wire); /* the member's id */
    member->has_instance = list->version >= 3 && wire_string(wire).bytes != NULL;
    member->client_id = wire_string(wire);
    member->host = wire_string(wire);
    member->rebalance_timeout_ms = list->version >= 1 ? wire_int32(wire) : -1;
    member->session_timeout_ms = wire_int32(wire);
    wire_bytes(wire); /* what it subscribes to */
    member->assigned = count_assigned(wire_bytes(wire));
    wire_end(wire);
    return wire_ok(wire);
}

static void add_member(struct kafka_classic_members *members, const struct kafka_classic_member *member)
{
    members->count++;
    members->with_instance += member->has_instance;
    members->idle += member->assigned == 0;
    if (members->session_timeout_ms < 0 || member->session_timeout_ms < members->session_timeout_ms)
        members->session_timeout_ms = member->session_timeout_ms;
    if (member->rebalance_timeout_ms > members->rebalance_timeout_ms)
        members->rebalance_timeout_ms = member->rebalance_timeout_ms;
}

static bool read_classic(struct wire *value, struct kafka_group_record *record)
{
    int16_t version;
    struct kafka_classic_members members = {.session_timeout_ms = -1, .rebalance_timeout_ms = -1};
    if (record->is_gone)
        return true;
    if (!begin_value(value, CLASSIC_LAST, CLASSIC_FLEXIBLE, &version))
        return false;
    struct str protocol_type = wire_string(value);
    record->classic.is_of_consumers =
        protocol_type.length == 0 || str_equal(protocol_type, consumers); /* none: nobody ever joined */
    record->classic.generation = wire_int32(value);
    wire_string(value); /* the protocol */
    wire_string(value); /* the leader */
    record->classic.state_since = version >= 2 ? wire_int64(value) : -1;
    size_t count = wire_array(value, LEAST_MEMBER);
    record->classic.list = (struct kafka_classic_list){*value, count, version};
    struct kafka_classic_list list = record->classic.list;
    struct kafka_classic_member member;
    while (kafka_classic_next(&list, &member))
        add_member(&members, &member);
    *value = list.wire;
    wire_end(value);
    record->classic.members = members;
    return record->classic.generation >= 0;
}

/* --- groups of the new protocol ------------------------------------------------------------------------ */

static bool read_epoch(struct wire *value, struct kafka_group_record *record)
{
    int16_t version;
    if (record->is_gone)
        return true;
    if (!begin_value(value, CONSUMER_LAST, 0, &version))
        return false;
    record->epoch.epoch = wire_int32(value);
    wire_end(value);
    return record->epoch.epoch >= 0;
}

/* The tagged field of a member that still speaks the classic protocol begins with 1, or is a 0: null. */
static void read_classic_fields(struct wire *value, struct kafka_group_record *record)
{
    uint32_t tag;
    for (size_t left = wire_tagged_fields(value); left > 0 && wire_ok(value); left--) {
        struct wire field = wire_tagged(value, &tag);
        if (tag == 0 && wire_int8(&field) == 1)
            record->member.session_timeout_ms = wire_int32(&field);
        value->has_failed = value->has_failed || !wire_ok(&field);
    }
}

static bool read_member(struct wire *key, struct wire *value, struct kafka_group_record *record)
{
    int16_t version;
    record->member.id = wire_string(key);
    record->member.session_timeout_ms = -1;
    if (record->is_gone)
        return true;
    if (!begin_value(value, CONSUMER_LAST, 0, &version))
        return false;
    record->member.has_instance = wire_string(value).bytes != NULL;
    wire_string(value); /* the rack */
    record->member.client_id = wire_string(value);
    record->member.host = wire_string(value);
    for (size_t topics = wire_array(value, 1); topics > 0 && wire_ok(value); topics--)
        wire_string(value);
    wire_string(value); /* a regular expression of topics */
    record->member.rebalance_timeout_ms = wire_int32(value);
    wire_string(value); /* the assignor */
    read_classic_fields(value, record);
    return true;
}

/* The partitions of an array of topics. */
static int64_t read_assigned(struct wire *value)
{
    int64_t assigned = 0;
    for (size_t topics = wire_array(value, LEAST_ASSIGNED); topics > 0 && wire_ok(value); topics--) {
        wire_skip(value, 16); /* the topic's id */
        size_t partitions = wire_array(value, sizeof(int32_t));
        wire_skip(value, partitions * sizeof(int32_t));
        wire_end(value);
        assigned += (int64_t)partitions;
    }
    return assigned;
}

static bool read_assignment(struct wire *key, struct wire *value, struct kafka_group_record *record)
{
    int16_t version;
    record->assignment.id = wire_string(key);
    if (record->is_gone)
        return true;
    if (!begin_value(value, CONSUMER_LAST, 0, &version))
        return false;
    wire_int32(value); /* the member's epoch */
    wire_int32(value); /* its epoch before */
    wire_int8(value);  /* its state */
    record->assignment.assigned = read_assigned(value);
    read_assigned(value); /* what it has still to give back */
    wire_end(value);
    return true;
}

/* --- all ----------------------------------------------------------------------------------------------- */

static enum kafka_record_kind kind_of(int16_t key)
{
    switch (key) {
    case KEY_LEGACY_COMMIT:
    case KEY_COMMIT:
        return KAFKA_RECORD_COMMIT;
    case KEY_CLASSIC_GROUP:
        return KAFKA_RECORD_CLASSIC;
    case KEY_CONSUMER_GROUP:
        return KAFKA_RECORD_EPOCH;
    case KEY_CONSUMER_GROUP_MEMBER:
        return KAFKA_RECORD_MEMBER;
    case KEY_CONSUMER_GROUP_CURRENT_ASSIGNMENT:
        return KAFKA_RECORD_ASSIGNMENT;
    default:
        return key >= 0 && key < KEYS_KNOWN ? KAFKA_RECORD_FOREIGN : KAFKA_RECORD_UNKNOWN;
    }
}

static bool read_body(struct wire *key, struct wire *value, struct kafka_group_record *record)
{
    switch (record->kind) {
    case KAFKA_RECORD_COMMIT:
        return read_commit(key, value, record);
    case KAFKA_RECORD_CLASSIC:
        return read_classic(value, record);
    case KAFKA_RECORD_EPOCH:
        return read_epoch(value, record);
    case KAFKA_RECORD_MEMBER:
        return read_member(key, value, record);
    case KAFKA_RECORD_ASSIGNMENT:
        return read_assignment(key, value, record);
    default:
        return true;
    }
}

struct kafka_group_record kafka_group_record_read(struct str key, struct str value)
{
    struct wire key_wire = wire_of(key.bytes, key.length), value_wire = wire_of(value.bytes, value.length);
    struct kafka_group_record record = {.kind = kind_of(wire_int16(&key_wire)),
                                        .is_gone = value.bytes == NULL};
    if (wire_ok(&key_wire) && record.kind == KAFKA_RECORD_FOREIGN)
        return record;
    record.group = wire_string(&key_wire);
    bool understood = read_body(&key_wire, &value_wire, &record) && wire_ok(&value_wire);
    if (record.group.bytes == NULL || !wire_ok(&key_wire))
        record.kind = KAFKA_RECORD_UNKNOWN;
    else if (!understood)
        record.kind = record.kind == KAFKA_RECORD_COMMIT ? KAFKA_RECORD_UNKNOWN_COMMIT : KAFKA_RECORD_UNKNOWN;
    return record;
}
