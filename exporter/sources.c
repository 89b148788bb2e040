#include "exporter/sources.h"

#include "exporter/base/mem.h"
#include "exporter/poller.h"

#include <stdlib.h>
#include <string.h>

struct list {
    struct poller **pollers;
    size_t count, capacity;
};

struct sources {
    const struct collector_kind *const *kinds;
    struct publish *publish;
    struct state_folder *state;
    struct list current; /* in the order of the configuration */
    struct list retired; /* told to end; freed when they have */
    size_t next_id;      /* in publish */
    bool running;
};

/* What one source of a new configuration is going to be. */
struct plan {
    struct poller *poller;        /* the one that stays, or a new one */
    struct poller_change *change; /* for the one that stays */
};

static void add(struct list *list, struct poller *poller)
{
    list->pollers = mem_grow(list->pollers, &list->capacity, list->count + 1, sizeof(struct poller *));
    list->pollers[list->count++] = poller;
}

/* Frees those that have ended; false when one has not by the deadline. */
static bool reap(struct list *list, int64_t deadline_us)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct poller *poller = list->pollers[i];
        if (poller_join(poller, deadline_us))
            poller_free(&poller);
        else
            list->pollers[kept++] = poller;
    }
    list->count = kept;
    return kept == 0;
}

struct sources *sources_new(const struct collector_kind *const *kinds, struct publish *publish,
                            struct state_folder *state)
{
    struct sources *sources = MEM_NEW(struct sources);
    sources->kinds = kinds;
    sources->publish = publish;
    sources->state = state;
    return sources;
}

/* --- a new configuration ------------------------------------------------------------------------------- */

static const struct collector_kind *find_kind(const struct sources *sources,
                                              const struct source_config *source, struct error *error)
{
    const struct collector_kind *const *kind = sources->kinds;
    while (*kind != NULL && strcmp((*kind)->name, source->kind) != 0)
        kind++;
    if (*kind == NULL)
        error_set(error, ERROR_USAGE, "source \"%s\": there is no kind \"%s\"", source->name, source->kind);
    return *kind;
}

static struct poller *find_poller(const struct sources *sources, const struct source_config *source)
{
    for (size_t i = 0; i < sources->current.count; i++)
        if (poller_polls(sources->current.pollers[i], source))
            return sources->current.pollers[i];
    return NULL;
}

static bool make_plan(struct sources *sources, struct shared_config *shared, size_t index, struct plan *plan,
                      struct error *error)
{
    const struct source_config *source = &shared->config.sources[index];
    const struct collector_kind *kind = find_kind(sources, source, error);
    if (kind == NULL)
        return false;
    struct poller *poller = find_poller(sources, source);
    if (poller == NULL) {
        plan->poller =
            poller_new(shared, index, kind, sources->publish, sources->next_id, sources->state, error);
        sources->next_id += plan->poller != NULL;
        return plan->poller != NULL;
    }
    plan->change = poller_prepare(poller, shared, index, error);
    if (plan->change != NULL)
        plan->poller = poller;
    return plan->change != NULL;
}

/* Shows the sources of the plans, each in its place; those that stay keep what they show. */
static void arrange(struct sources *sources, const struct plan *plans, size_t count)
{
    struct publish_place *places = MEM_ARRAY(count, struct publish_place);
    for (size_t i = 0; i < count; i++) {
        places[i].id = poller_id(plans[i].poller);
        if (plans[i].change == NULL)
            places[i].first = poller_first_status(plans[i].poller);
    }
    publish_arrange(sources->publish, places, count);
    free(places);
}

static bool stays(const struct poller *poller, const struct plan *plans, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (plans[i].poller == poller)
            return true;
    return false;
}

/* From here on nothing can fail. */
static void carry_out(struct sources *sources, struct plan *plans, size_t count)
{
    struct list before = sources->current;
    sources->current = (struct list){0};
    for (size_t i = 0; i < before.count; i++) {
        if (!stays(before.pollers[i], plans, count)) {
            poller_request_stop(before.pollers[i]);
            add(&sources->retired, before.pollers[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        add(&sources->current, plans[i].poller);
        if (plans[i].change != NULL)
            poller_take_change(plans[i].poller, &plans[i].change);
        else if (sources->running)
            poller_start(plans[i].poller);
    }
    free(before.pollers);
}

static void drop_plans(struct plan *plans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (plans[i].change != NULL)
            poller_drop_change(&plans[i].change);
        else
            poller_free(&plans[i].poller);
    }
}

bool sources_configure(struct sources *sources, struct shared_config *shared, struct error *error)
{
    size_t count = shared->config.source_count;
    struct plan *plans = MEM_ARRAY(count, struct plan);
    bool done = true;
    for (size_t i = 0; i < count && done; i++)
        done = make_plan(sources, shared, i, &plans[i], error);
    if (done) {
        arrange(sources, plans, count);
        carry_out(sources, plans, count);
    } else {
        drop_plans(plans, count);
    }
    reap(&sources->retired, 0);
    free(plans);
    return done;
}

/* --- running ------------------------------------------------------------------------------------------- */

void sources_start(struct sources *sources)
{
    for (size_t i = 0; i < sources->current.count; i++)
        poller_start(sources->current.pollers[i]);
    sources->running = true;
}

bool sources_poll_once(struct sources *sources)
{
    bool any = false;
    for (size_t i = 0; i < sources->current.count; i++) {
        struct error failure = {0};
        any |= poller_poll(sources->current.pollers[i], &failure);
        error_clear(&failure); /* logged */
    }
    return any;
}

void sources_request_stop(struct sources *sources)
{
    for (size_t i = 0; i < sources->current.count; i++)
        poller_request_stop(sources->current.pollers[i]);
}

bool sources_stop(struct sources *sources, int64_t deadline_us)
{
    sources_request_stop(sources);
    bool ended = true;
    for (size_t i = 0; i < sources->current.count; i++)
        ended &= poller_join(sources->current.pollers[i], deadline_us);
    return reap(&sources->retired, deadline_us) && ended;
}

void sources_free(struct sources **sources)
{
    struct sources *s = *sources;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->current.count; i++)
        poller_free(&s->current.pollers[i]);
    for (size_t i = 0; i < s->retired.count; i++)
        poller_free(&s->retired.pollers[i]);
    free(s->current.pollers);
    free(s->retired.pollers);
    free(s);
    *sources = NULL;
}
