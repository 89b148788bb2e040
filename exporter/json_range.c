#include "exporter/json_range.h"

#include "exporter/json_value.h"

#include <string.h>

struct json_list json_list_begin(struct buf *out, int64_t now, struct json_range range)
{
    struct json_list list = {.json = {.out = out}, .range = range};
    json_put_open(&list.json, '{');
    json_add_seconds(&list.json, "t", now);
    json_add_int(&list.json, "offset", (int64_t)range.offset);
    if (range.limit != JSON_ALL)
        json_add_int(&list.json, "limit", (int64_t)range.limit);
    return list;
}

void json_list_open(struct json_list *list, const char *name)
{
    json_put_key(&list->json, name);
    json_put_open(&list->json, '[');
}

bool json_list_takes_next(struct json_list *list)
{
    size_t index = list->seen++;
    return index >= list->range.offset && index - list->range.offset < list->range.limit;
}

void json_list_end(struct json_list *list)
{
    json_put_close(&list->json, ']');
    json_add_int(&list->json, "total", (int64_t)list->seen);
    json_put_close(&list->json, '}');
    buf_add_char(list->json.out, '\n');
}

bool json_is_asked_for(const struct source_view *source, const char *cluster)
{
    return cluster == NULL || strcmp(source->status.cluster, cluster) == 0;
}
