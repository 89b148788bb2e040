#include "exporter/events.h"

#include "exporter/base/mem.h"
#include "exporter/base/number.h"

#include <stdlib.h>
#include <string.h>

/* So many of the last events are looked at for one that goes on, if it was seen so shortly ago. */
enum { LOOKED_AT = 16 };
static const int64_t goes_on_ms = 5 * 60 * 1000;

const char *event_name(enum event_kind kind)
{
    static const char *const names[EVENT_KINDS] = {
#define EVENT_NAME(id, name) [EVENT_##id] = name,
        EVENT_TABLE(EVENT_NAME)
#undef EVENT_NAME
    };
    return names[kind];
}

/* What comes piece by piece is one event: what retention takes poll after poll, and a series of rebalances.
 * None goes on when the clock was set back: it would end before it began. */
static bool goes_on(const struct event *before, const struct event *event)
{
    return (event->kind == EVENT_LOST || event->kind == EVENT_REBALANCED ||
            event->kind == EVENT_MADE_AGAIN) &&
           before->kind == event->kind && before->subscription == event->subscription &&
           before->partition == event->partition && event->time >= before->until &&
           event->time - before->until <= goes_on_ms && before->to == event->from;
}

static bool of_messages(const struct event *event)
{
    return event->kind == EVENT_LOST || event->kind == EVENT_SKIPPED || event->kind == EVENT_REWOUND ||
           event->kind == EVENT_BEYOND_END;
}

/* Drops the oldest event of the kinds that have more than their half. */
static void make_room(struct event_memory *memory)
{
    uint32_t losses = 0, oldest = 0;
    for (uint32_t i = 0; i < memory->count; i++)
        losses += of_messages(&memory->events[i]);
    while (of_messages(&memory->events[oldest]) != (losses > EVENTS / 2))
        oldest++;
    memory->count--;
    memmove(&memory->events[oldest], &memory->events[oldest + 1],
            (memory->count - oldest) * sizeof *memory->events);
}

void events_add(struct event_memory *memory, struct event event)
{
    if (memory->events == NULL)
        memory->events = MEM_ARRAY(EVENTS, struct event);
    memory->changed = true;
    for (uint32_t i = 0; i < memory->count && i < LOOKED_AT; i++) {
        struct event *before = &memory->events[memory->count - 1 - i];
        if (!goes_on(before, &event))
            continue;
        before->until = event.time;
        before->to = event.to;
        if (event.count != UNKNOWN)
            before->count = number_add(before->count, event.count);
        return;
    }
    if (memory->count == EVENTS)
        make_room(memory);
    event.until = event.time;
    memory->events[memory->count++] = event;
}

void events_restore(struct event_memory *memory, const struct event *event)
{
    if (memory->events == NULL)
        memory->events = MEM_ARRAY(EVENTS, struct event);
    memory->changed = true;
    memory->events[memory->count++] = *event;
}

void events_make_room(struct event_memory *memory, uint32_t subscription)
{
    for (uint32_t i = 0; i < memory->count; i++)
        if (memory->events[i].subscription >= (int64_t)subscription)
            memory->events[i].subscription++;
}

void events_forget(struct event_memory *memory, uint32_t subscription)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < memory->count; i++) {
        struct event event = memory->events[i];
        if (event.subscription == (int64_t)subscription)
            continue;
        event.subscription -= event.subscription > (int64_t)subscription;
        memory->events[kept++] = event;
    }
    memory->changed = memory->changed || kept < memory->count;
    memory->count = kept;
}

void events_free(struct event_memory *memory)
{
    event_list_release(&memory->published);
    free(memory->events);
    *memory = (struct event_memory){0};
}

static struct event_list *make_list(const struct event_memory *memory, const struct str *topics)
{
    struct event_list *list = MEM_NEW(struct event_list);
    size_t length = 1;
    for (uint32_t i = 0; i < memory->count; i++)
        length += topics[i].length;
    list->events = MEM_ARRAY(memory->count, struct event);
    list->topics = mem_array(1, memory->count * sizeof *list->topics + length);
    list->count = memory->count;
    char *bytes = (char *)(list->topics + memory->count);
    for (uint32_t i = 0; i < memory->count; i++) {
        list->events[i] = memory->events[i];
        if (topics[i].bytes == NULL)
            continue;
        memcpy(bytes, topics[i].bytes, topics[i].length);
        list->topics[i] = (struct str){bytes, topics[i].length};
        bytes += topics[i].length;
    }
    atomic_init(&list->holders, 1);
    return list;
}

struct event_list *events_publish(struct event_memory *memory, const struct str *topics)
{
    if (memory->count == 0)
        return NULL;
    if (memory->changed || memory->published == NULL) {
        event_list_release(&memory->published);
        memory->published = make_list(memory, topics);
        memory->changed = false;
    }
    atomic_fetch_add(&memory->published->holders, 1);
    return memory->published;
}

void event_list_release(struct event_list **list)
{
    struct event_list *l = *list;
    *list = NULL;
    if (l == NULL || atomic_fetch_sub(&l->holders, 1) != 1)
        return;
    free(l->events);
    free(l->topics);
    free(l);
}
