#include "exporter/publish.h"

#include "exporter/base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct judged {
    atomic_size_t holders; /* views */
    struct snapshot *snapshot;
    struct findings *findings;
};

struct view_memory {
    atomic_size_t holders;
};

/* The lock guards the pointer only: it is held for as long as it takes to copy it and to count. */
struct publish {
    pthread_mutex_t lock;
    struct view *current; /* holds one reference */
    void (*watcher)(void *context);
    void *watcher_context;
};

static void judged_release(struct judged *judged)
{
    if (judged == NULL || atomic_fetch_sub(&judged->holders, 1) != 1)
        return;
    snapshot_free(&judged->snapshot);
    findings_free(&judged->findings);
    free(judged);
}

static struct view *view_new(size_t sources)
{
    struct view *view = MEM_NEW(struct view);
    view->sources = MEM_ARRAY(sources, struct source_view);
    view->source_count = sources;
    view->number = 1;
    view->memory = MEM_NEW(struct view_memory);
    atomic_init(&view->memory->holders, 1);
    return view;
}

/* The same view with its own hold on all that it shows. */
static struct view *view_copy(const struct view *view)
{
    struct view *copy = view_new(view->source_count);
    for (size_t i = 0; i < view->source_count; i++) {
        copy->sources[i] = view->sources[i];
        if (copy->sources[i].judged != NULL)
            atomic_fetch_add(&copy->sources[i].judged->holders, 1);
    }
    return copy;
}

void view_release(struct view **view)
{
    struct view *v = *view;
    *view = NULL;
    if (v == NULL || atomic_fetch_sub(&v->memory->holders, 1) != 1)
        return;
    for (size_t i = 0; i < v->source_count; i++)
        judged_release(v->sources[i].judged);
    free(v->sources);
    free(v->memory);
    free(v);
}

struct publish *publish_new(const struct source_status *statuses, size_t sources)
{
    struct publish *publish = MEM_NEW(struct publish);
    pthread_mutex_init(&publish->lock, NULL); /* can't fail with default attributes on Linux */
    publish->current = view_new(sources);
    for (size_t i = 0; i < sources; i++)
        publish->current->sources[i].status = statuses[i];
    return publish;
}

void publish_free(struct publish **publish)
{
    if (*publish == NULL)
        return;
    view_release(&(*publish)->current);
    pthread_mutex_destroy(&(*publish)->lock);
    free(*publish);
    *publish = NULL;
}

static void show(struct source_view *source, struct judged *judged)
{
    judged_release(source->judged);
    source->judged = judged;
    source->snapshot = judged == NULL ? NULL : judged->snapshot;
    source->findings = judged == NULL ? NULL : judged->findings;
}

/* Makes the view in which source `index` has the status and, if `replace`, shows `judged`. */
static void update(struct publish *publish, size_t index, const struct source_status *status, bool replace,
                   struct judged *judged)
{
    pthread_mutex_lock(&publish->lock);
    assert(index < publish->current->source_count);
    struct view *before = publish->current;
    struct view *after = view_copy(before);
    after->sources[index].status = *status;
    if (replace)
        show(&after->sources[index], judged);
    after->number = before->number + 1;
    publish->current = after;
    if (publish->watcher != NULL)
        publish->watcher(publish->watcher_context);
    pthread_mutex_unlock(&publish->lock);
    /* Outside the lock: freeing a large snapshot takes its time. */
    view_release(&before);
}

void publish_poll(struct publish *publish, size_t index, const struct source_status *status,
                  struct snapshot *snapshot, struct findings *findings)
{
    struct judged *judged = MEM_NEW(struct judged);
    atomic_init(&judged->holders, 1);
    judged->snapshot = snapshot;
    judged->findings = findings;
    update(publish, index, status, true, judged);
}

void publish_status(struct publish *publish, size_t index, const struct source_status *status, bool forget)
{
    update(publish, index, status, forget, NULL);
}

struct view *publish_view(struct publish *publish)
{
    pthread_mutex_lock(&publish->lock);
    struct view *view = publish->current;
    atomic_fetch_add(&view->memory->holders, 1);
    pthread_mutex_unlock(&publish->lock);
    return view;
}

uint64_t publish_number(struct publish *publish)
{
    pthread_mutex_lock(&publish->lock);
    uint64_t number = publish->current->number;
    pthread_mutex_unlock(&publish->lock);
    return number;
}

void publish_watch(struct publish *publish, void (*watcher)(void *context), void *context)
{
    pthread_mutex_lock(&publish->lock);
    publish->watcher = watcher;
    publish->watcher_context = context;
    pthread_mutex_unlock(&publish->lock);
}
