#include "logstore/group_list.h"

#include "logstore/bytes.h"
#include "logstore/document.h"

#include <stdlib.h>

enum { LIST_VERSION = 1, SMALLEST_GROUP = 9 };

void group_list_free(struct group_list *list)
{
    free(list->groups);
    *list = (struct group_list){0};
}

bool group_list_decode(struct group_list *list, struct str bytes, struct error *error)
{
    struct cursor cursor = cursor_make(bytes.bytes, bytes.length);
    struct group_list read = {0};
    uint32_t version;
    if (!document_take_version(&cursor, "the list of groups", LIST_VERSION, &version, error))
        return false;
    read.next_number = cursor_u32(&cursor);
    uint32_t count = cursor_u32(&cursor);
    if (count > cursor_left(&cursor) / SMALLEST_GROUP)
        cursor.failed = true;
    read.groups = cursor.failed ? NULL : calloc(count == 0 ? 1 : count, sizeof *read.groups);
    if (!cursor.failed && read.groups == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for the list of groups");
        return false;
    }
    for (; read.count < count && !cursor.failed; read.count++) {
        struct group_name *group = &read.groups[read.count];
        group->number = cursor_u32(&cursor);
        group->name = cursor_str(&cursor);
        bool sorted = read.count == 0 || str_compare(group[-1].name, group->name) < 0;
        if (!sorted || group->number == 0 || group->number >= read.next_number || group->name.length == 0)
            cursor.failed = true;
    }
    if (cursor.failed || cursor_left(&cursor) > 0) {
        error_set(error, ERROR_CORRUPT, "the list of groups doesn't hold what it should");
        group_list_free(&read);
        return false;
    }
    group_list_free(list);
    *list = read;
    return true;
}

static void add32(struct buf *bytes, uint32_t value)
{
    value = htole32(value);
    buf_add(bytes, &value, sizeof value);
}

void group_list_encode(const struct group_list *list, struct buf *bytes)
{
    add32(bytes, LIST_VERSION);
    add32(bytes, list->next_number);
    add32(bytes, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        add32(bytes, list->groups[i].number);
        add32(bytes, (uint32_t)list->groups[i].name.length);
        buf_add_str(bytes, list->groups[i].name);
    }
}

static uint32_t lower_bound(const struct group_list *list, struct str name)
{
    uint32_t from = 0, to = list->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (str_compare(list->groups[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct group_name *group_list_find(const struct group_list *list, struct str name)
{
    uint32_t index = lower_bound(list, name);
    return index < list->count && str_equal(list->groups[index].name, name) ? &list->groups[index] : NULL;
}

struct group_name *group_list_insert(struct group_list *list, struct str name)
{
    struct group_name *groups = realloc(list->groups, (list->count + (size_t)1) * sizeof *groups);
    if (groups == NULL)
        return NULL;
    list->groups = groups;
    uint32_t index = lower_bound(list, name);
    memmove(groups + index + 1, groups + index, (list->count - index) * sizeof *groups);
    groups[index] = (struct group_name){list->next_number++, name};
    list->count++;
    return &groups[index];
}

void group_list_remove(struct group_list *list, struct group_name *group)
{
    size_t behind = (size_t)(list->groups + list->count - (group + 1));
    memmove(group, group + 1, behind * sizeof *group);
    list->count--;
}
