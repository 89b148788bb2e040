#include "logstore/membership.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"
#include "logstore/document.h"

#include <stdlib.h>

enum { MEMBERSHIP_VERSION = 2, MEMBER_JOINED = 1, SMALLEST_MEMBER = 48, TOPIC_SIZE = 4, RUN_SIZE = 12 };

static void member_free(struct member *member)
{
    free(member->topics);
    free(member->runs);
}

void membership_free(struct membership *membership)
{
    for (uint32_t i = 0; i < membership->count; i++)
        member_free(&membership->members[i]);
    free(membership->members);
    *membership = (struct membership){0};
}

/* --- bytes -----------------------------------------------------------------------------------------------
 */

/* A count of elements that take at least `size` bytes each; 0, and the cursor failed, when there can't be as
 * many. */
static uint32_t take_count(struct cursor *cursor, size_t size)
{
    uint32_t count = cursor_u32(cursor);
    if (count <= cursor_left(cursor) / size)
        return count;
    cursor->failed = true;
    return 0;
}

/* False only for lack of memory. */
static bool decode_member(struct cursor *cursor, uint32_t version, struct member *member)
{
    member->number = cursor_u32(cursor);
    member->joined = cursor_u32(cursor) & MEMBER_JOINED;
    member->assignor = (enum logstore_assignor)(cursor_u32(cursor) & 1);
    member->session_timeout_ms = cursor_i64(cursor);
    member->max_poll_interval_ms = cursor_i64(cursor);
    member->boot = version == 1 ? 0 : cursor_u64(cursor);
    member->id = cursor_str(cursor);
    member->client_id = cursor_str(cursor);
    member->host = cursor_str(cursor);
    uint32_t topics = take_count(cursor, TOPIC_SIZE);
    member->topics = calloc(topics + (size_t)1, sizeof *member->topics);
    if (member->topics == NULL)
        return false;
    for (; member->topic_count < topics; member->topic_count++)
        member->topics[member->topic_count] = cursor_str(cursor);
    uint32_t runs = take_count(cursor, RUN_SIZE);
    member->runs = calloc(runs + (size_t)1, sizeof *member->runs);
    if (member->runs == NULL)
        return false;
    for (; member->run_count < runs; member->run_count++) {
        struct assigned_run *run = &member->runs[member->run_count];
        run->topic = cursor_u32(cursor);
        run->first = cursor_u32(cursor);
        run->count = cursor_u32(cursor);
        if (run->first > TOPIC_PARTITIONS_MAX || run->count > TOPIC_PARTITIONS_MAX)
            cursor->failed = true;
    }
    return true;
}

static bool decode_members(struct cursor *cursor, uint32_t version, struct membership *membership)
{
    uint32_t count = take_count(cursor, SMALLEST_MEMBER);
    membership->members = calloc(count + (size_t)1, sizeof *membership->members);
    if (membership->members == NULL)
        return false;
    while (membership->count < count && !cursor->failed) {
        struct member *member = &membership->members[membership->count++];
        if (!decode_member(cursor, version, member))
            return false;
        bool rising = membership->count == 1 || member[-1].number < member->number;
        if (!rising || member->number == 0 || member->number >= membership->next_number)
            cursor->failed = true;
    }
    return true;
}

bool membership_decode(struct membership *membership, struct str bytes, struct error *error)
{
    struct cursor cursor = cursor_make(bytes.bytes, bytes.length);
    struct membership read = {0};
    uint32_t version;
    if (!document_take_version(&cursor, "the list of members", MEMBERSHIP_VERSION, &version, error))
        return false;
    uint32_t state = cursor_u32(&cursor);
    read.state = state;
    read.generation = cursor_i64(&cursor);
    read.since = cursor_i64(&cursor);
    read.basis = cursor_u64(&cursor);
    read.next_number = cursor_u32(&cursor);
    if (state > LOGSTORE_GROUP_DEAD || read.generation < 0 || read.generation == INT64_MAX)
        cursor.failed = true;
    bool enough = decode_members(&cursor, version, &read);
    if (enough && (cursor.failed || cursor_left(&cursor) > 0 ||
                   (read.count == 0) != (state == LOGSTORE_GROUP_EMPTY || state == LOGSTORE_GROUP_DEAD)))
        error_set(error, ERROR_CORRUPT, "the members of the group aren't what they should be");
    else if (!enough)
        error_set(error, ERROR_MEMORY, "no memory for the members of a group");
    else {
        membership_free(membership);
        *membership = read;
        return true;
    }
    membership_free(&read);
    return false;
}

static void add32(struct buf *bytes, uint32_t value)
{
    value = htole32(value);
    buf_add(bytes, &value, sizeof value);
}

static void add64(struct buf *bytes, uint64_t value)
{
    value = htole64(value);
    buf_add(bytes, &value, sizeof value);
}

static void add_str(struct buf *bytes, struct str text)
{
    add32(bytes, (uint32_t)text.length);
    buf_add_str(bytes, text);
}

static void encode_member(const struct member *member, struct buf *bytes)
{
    add32(bytes, member->number);
    add32(bytes, member->joined ? MEMBER_JOINED : 0);
    add32(bytes, member->assignor);
    add64(bytes, (uint64_t)member->session_timeout_ms);
    add64(bytes, (uint64_t)member->max_poll_interval_ms);
    add64(bytes, member->boot);
    add_str(bytes, member->id);
    add_str(bytes, member->client_id);
    add_str(bytes, member->host);
    add32(bytes, member->topic_count);
    for (uint32_t i = 0; i < member->topic_count; i++)
        add_str(bytes, member->topics[i]);
    add32(bytes, member->run_count);
    for (uint32_t i = 0; i < member->run_count; i++) {
        add32(bytes, member->runs[i].topic);
        add32(bytes, member->runs[i].first);
        add32(bytes, member->runs[i].count);
    }
}

void membership_encode(const struct membership *membership, struct buf *bytes)
{
    add32(bytes, MEMBERSHIP_VERSION);
    add32(bytes, membership->state);
    add64(bytes, (uint64_t)membership->generation);
    add64(bytes, (uint64_t)membership->since);
    add64(bytes, membership->basis);
    add32(bytes, membership->next_number);
    add32(bytes, membership->count);
    for (uint32_t i = 0; i < membership->count; i++)
        encode_member(&membership->members[i], bytes);
}

/* --- members ---------------------------------------------------------------------------------------------
 */

struct member *membership_find(const struct membership *membership, uint32_t number)
{
    for (uint32_t i = 0; i < membership->count; i++)
        if (membership->members[i].number == number)
            return &membership->members[i];
    return NULL;
}

/* By how much more than `limit` the two times are apart. A sign of life from the future is none: it was given
 * in another run of the machine, if the boot can't be told. */
static uint64_t overdue(int64_t last, int64_t now, int64_t limit)
{
    uint64_t apart = now > last ? (uint64_t)now - (uint64_t)last : (uint64_t)last - (uint64_t)now;
    uint64_t allowed = limit < 0 ? 0 : (uint64_t)limit;
    return apart > allowed ? apart - allowed : 0;
}

int64_t member_gone_for(const struct member *member, const struct moment *now)
{
    uint64_t by_session = overdue(member->last_heartbeat, now->run, member->session_timeout_ms);
    uint64_t by_poll = overdue(member->last_poll, now->run, member->max_poll_interval_ms);
    uint64_t gone = by_session > by_poll ? by_session : by_poll;
    uint64_t most = now->run > 0 ? (uint64_t)now->run : 1;
    return (int64_t)(member->boot != now->boot || gone > most ? most : gone);
}

static void forget_assignments(struct membership *membership)
{
    for (uint32_t i = 0; i < membership->count; i++)
        membership->members[i].run_count = 0;
}

/* Those who were assigned something keep it until they join again, or have gone; the generation stays till
 * the end. */
void membership_begin_rebalance(struct membership *membership, int64_t now)
{
    if (membership->state == LOGSTORE_GROUP_PREPARING_REBALANCE)
        return;
    membership->state = LOGSTORE_GROUP_PREPARING_REBALANCE;
    membership->since = now;
    for (uint32_t i = 0; i < membership->count; i++)
        membership->members[i].joined = false;
}

struct member *membership_add(struct membership *membership, const struct member *added, int64_t now)
{
    struct member *members =
        membership->next_number == UINT32_MAX
            ? NULL
            : realloc(membership->members, (membership->count + (size_t)1) * sizeof *members);
    if (members == NULL)
        return NULL;
    membership->members = members;
    membership_begin_rebalance(membership, now);
    struct member *member = &members[membership->count++];
    *member = *added;
    member->number = membership->next_number++;
    member->joined = true;
    return member;
}

void membership_remove(struct membership *membership, struct member *member, int64_t now)
{
    member_free(member);
    size_t behind = (size_t)(membership->members + membership->count - (member + 1));
    memmove(member, member + 1, behind * sizeof *member);
    membership->count--;
    membership_begin_rebalance(membership, now);
    if (membership->count > 0)
        return;
    membership->state = LOGSTORE_GROUP_EMPTY;
    membership->generation++;
}

/* --- assignment ------------------------------------------------------------------------------------------
 */

static bool wants(const struct member *member, struct str topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++)
        if (str_equal(member->topics[i], topic))
            return true;
    return false;
}

static bool anyone_wants(const struct membership *membership, struct str topic)
{
    for (uint32_t i = 0; i < membership->count; i++)
        if (wants(&membership->members[i], topic))
            return true;
    return false;
}

uint64_t membership_basis(const struct membership *membership, const struct catalog *catalog)
{
    uint32_t crc = 0, partitions = 0;
    for (uint32_t i = 0; i < catalog->count; i++) {
        const struct topic *topic = &catalog->topics[i];
        uint8_t bytes[8];
        if (!anyone_wants(membership, topic->name))
            continue;
        put32(bytes, topic->number);
        put32(bytes + 4, topic->partitions);
        crc = crc32c(crc, bytes, sizeof bytes);
        partitions += topic->partitions;
    }
    return (uint64_t)crc << 32 | partitions;
}

/* Appends to the member's last run where that is possible. */
static bool assign(struct member *member, uint32_t topic, uint32_t first, uint32_t count)
{
    struct assigned_run *last = member->run_count == 0 ? NULL : &member->runs[member->run_count - 1];
    if (count == 0)
        return true;
    if (last != NULL && last->topic == topic && last->first + last->count == first) {
        last->count += count;
        return true;
    }
    struct assigned_run *runs = realloc(member->runs, (member->run_count + (size_t)1) * sizeof *runs);
    if (runs == NULL)
        return false;
    member->runs = runs;
    runs[member->run_count++] = (struct assigned_run){topic, first, count};
    return true;
}

/* Kafka's range assignor: of each topic, each member gets neighbouring partitions, the first members one
 * more. */
static bool assign_range(struct membership *membership, const struct topic *topic)
{
    uint32_t takers = 0, first = 0;
    for (uint32_t i = 0; i < membership->count; i++)
        takers += wants(&membership->members[i], topic->name);
    if (takers == 0)
        return true;
    for (uint32_t i = 0, taker = 0; i < membership->count; i++) {
        struct member *member = &membership->members[i];
        if (!wants(member, topic->name))
            continue;
        uint32_t count = topic->partitions / takers + (taker++ < topic->partitions % takers);
        if (!assign(member, topic->number, first, count))
            return false;
        first += count;
    }
    return true;
}

/* The members in turn. */
static struct member *next_member(const struct membership *membership, uint32_t *next)
{
    if (*next >= membership->count)
        *next = 0;
    return &membership->members[(*next)++];
}

/* Kafka's round-robin assignor: all partitions of all topics are dealt out in turn. */
static bool assign_round_robin(struct membership *membership, const struct topic *topic, uint32_t *next)
{
    if (!anyone_wants(membership, topic->name))
        return true;
    for (uint32_t partition = 0; partition < topic->partitions; partition++) {
        struct member *member;
        do
            member = next_member(membership, next);
        while (!wants(member, topic->name));
        if (!assign(member, topic->number, partition, 1))
            return false;
    }
    return true;
}

bool membership_complete(struct membership *membership, const struct catalog *catalog, int64_t now,
                         bool *completed, struct error *error)
{
    uint32_t next = 0;
    bool done = true;
    *completed = false;
    if (membership->state != LOGSTORE_GROUP_PREPARING_REBALANCE || membership->count == 0)
        return true;
    for (uint32_t i = 0; i < membership->count; i++)
        if (!membership->members[i].joined)
            return true;
    forget_assignments(membership);
    for (uint32_t i = 0; done && i < catalog->count; i++)
        done = membership->members[0].assignor == LOGSTORE_ASSIGN_ROUND_ROBIN
                   ? assign_round_robin(membership, &catalog->topics[i], &next)
                   : assign_range(membership, &catalog->topics[i]);
    if (!done) {
        error_set(error, ERROR_MEMORY, "no memory to assign partitions");
        return false;
    }
    membership->basis = membership_basis(membership, catalog);
    membership->state = LOGSTORE_GROUP_STABLE;
    membership->since = now;
    membership->generation++;
    *completed = true;
    return true;
}

uint32_t member_assigned(const struct member *member)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < member->run_count; i++)
        count += member->runs[i].count;
    return count;
}
