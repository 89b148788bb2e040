#include "exporter/snapshot_members.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What stands before a member's two texts. The bytes of a list never leave the process, nor lie aligned. */
struct lengths {
    uint32_t client_id, host;
};

void member_list_add(struct member_list *list, struct str client_id, struct str host)
{
    size_t room = MEMBER_LIST_BYTES - list->length;
    if (list->count >= MEMBERS_LISTED || room < sizeof(struct lengths) || client_id.length > room ||
        host.length > room || sizeof(struct lengths) + client_id.length + host.length > room)
        return;
    struct lengths lengths = {(uint32_t)client_id.length, (uint32_t)host.length};
    size_t size = sizeof lengths + client_id.length + host.length;
    list->bytes = mem_grow(list->bytes, &list->capacity, list->length + size, 1);
    char *place = list->bytes + list->length;
    memcpy(place, &lengths, sizeof lengths);
    if (client_id.length > 0)
        memcpy(place + sizeof lengths, client_id.bytes, client_id.length);
    if (host.length > 0)
        memcpy(place + sizeof lengths + client_id.length, host.bytes, host.length);
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

bool member_list_next(struct str *rest, struct member_name *member)
{
    struct lengths lengths;
    if (rest->length == 0)
        return false;
    memcpy(&lengths, rest->bytes, sizeof lengths);
    member->client_id = (struct str){rest->bytes + sizeof lengths, lengths.client_id};
    member->host = (struct str){member->client_id.bytes + lengths.client_id, lengths.host};
    size_t size = sizeof lengths + lengths.client_id + lengths.host;
    *rest = (struct str){rest->bytes + size, rest->length - size};
    return true;
}
