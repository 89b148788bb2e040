#include "exporter/snapshot_members.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What stands before a member's two texts. The bytes of a list never leave the process, nor lie aligned. */
struct head {
    int64_t assigned;
    uint32_t client_id, host; /* their lengths */
};

static bool has_room(const struct member_list *list, const struct member *member)
{
    size_t room = MEMBER_LIST_BYTES - list->length;
    return list->count < MEMBERS_LISTED && room >= sizeof(struct head) && member->client_id.length <= room &&
           member->host.length <= room &&
           sizeof(struct head) + member->client_id.length + member->host.length <= room;
}

static char *put(char *place, const void *bytes, size_t length)
{
    if (length > 0)
        memcpy(place, bytes, length);
    return place + length;
}

void member_list_add(struct member_list *list, const struct member *member)
{
    if (!has_room(list, member))
        return;
    struct str client_id = member->client_id, host = member->host;
    struct head head = {member->assigned, (uint32_t)client_id.length, (uint32_t)host.length};
    size_t size = sizeof head + client_id.length + host.length;
    list->bytes = mem_grow(list->bytes, &list->capacity, list->length + size, 1);
    char *place = put(list->bytes + list->length, &head, sizeof head);
    put(put(place, client_id.bytes, client_id.length), host.bytes, host.length);
    list->length += size;
    list->count++;
}

struct str member_list_str(const struct member_list *list)
{
    return (struct str){list->bytes, list->length};
}

void member_list_free(struct member_list *list)
{
    free(list->bytes);
    *list = (struct member_list){0};
}

bool member_list_next(struct str *rest, struct member *member)
{
    struct head head;
    if (rest->length == 0)
        return false;
    memcpy(&head, rest->bytes, sizeof head);
    member->assigned = head.assigned;
    member->client_id = (struct str){rest->bytes + sizeof head, head.client_id};
    member->host = (struct str){member->client_id.bytes + head.client_id, head.host};
    size_t size = sizeof head + head.client_id + head.host;
    *rest = (struct str){rest->bytes + size, rest->length - size};
    return true;
}
