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

struct shown_text {
    atomic_size_t holders; /* views */
    char text[];
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

/* NULL for NULL. */
static struct shown_text *text_new(const char *text)
{
    if (text == NULL)
        return NULL;
    struct shown_text *shown = mem_array(1, sizeof *shown + strlen(text) + 1);
    atomic_init(&shown->holders, 1);
    memcpy(shown->text, text, strlen(text) + 1);
    return shown;
}

static void text_hold(struct shown_text *text)
{
    if (text != NULL)
        atomic_fetch_add(&text->holders, 1);
}

static void text_release(struct shown_text *text)
{
    if (text != NULL && atomic_fetch_sub(&text->holders, 1) == 1)
        free(text);
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

/* The same with its own hold on all that it shows. */
static struct source_view source_copy(const struct source_view *source)
{
    text_hold(source->name);
    text_hold(source->reason);
    if (source->judged != NULL)
        atomic_fetch_add(&source->judged->holders, 1);
    return *source;
}

/* Its texts are copied, but for the name, which stays. */
static void set_status(struct source_view *source, const struct source_status *status)
{
    text_release(source->reason);
    source->reason = text_new(status->reason);
    source->status = *status;
    source->status.cluster = source->name->text;
    source->status.reason = source->reason != NULL ? source->reason->text : NULL;
}

static struct source_view source_new(size_t id, const struct source_status *status)
{
    struct source_view source = {.name = text_new(status->cluster), .id = id};
    set_status(&source, status);
    return source;
}

static struct view *view_copy(const struct view *view)
{
    struct view *copy = view_new(view->source_count);
    for (size_t i = 0; i < view->source_count; i++)
        copy->sources[i] = source_copy(&view->sources[i]);
    copy->policy = page_policy_hold(view->policy);
    return copy;
}

void view_release(struct view **view)
{
    struct view *v = *view;
    *view = NULL;
    if (v == NULL || atomic_fetch_sub(&v->memory->holders, 1) != 1)
        return;
    for (size_t i = 0; i < v->source_count; i++) {
        judged_release(v->sources[i].judged);
        text_release(v->sources[i].name);
        text_release(v->sources[i].reason);
    }
    page_policy_release(v->policy);
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
        publish->current->sources[i] = source_new(i, &statuses[i]);
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

/* The source that its poller calls `id`; NULL when there is none any more. */
static struct source_view *find(const struct view *view, size_t id)
{
    for (size_t i = 0; i < view->source_count; i++)
        if (view->sources[i].id == id)
            return &view->sources[i];
    return NULL;
}

/* Makes `after` the current view, and gives the lock and the view before it back. */
static void replace_and_unlock(struct publish *publish, struct view *after)
{
    struct view *before = publish->current;
    after->number = before->number + 1;
    publish->current = after;
    if (publish->watcher != NULL)
        publish->watcher(publish->watcher_context);
    pthread_mutex_unlock(&publish->lock);
    /* Outside the lock: freeing a large snapshot takes its time. */
    view_release(&before);
}

void publish_arrange(struct publish *publish, const struct publish_place *places, size_t count)
{
    struct view *after = view_new(count);
    pthread_mutex_lock(&publish->lock);
    for (size_t i = 0; i < count; i++) {
        const struct source_view *known = find(publish->current, places[i].id);
        after->sources[i] = known != NULL ? source_copy(known) : source_new(places[i].id, &places[i].first);
    }
    after->policy = page_policy_hold(publish->current->policy);
    replace_and_unlock(publish, after);
}

void publish_set_policy(struct publish *publish, struct page_policy *policy)
{
    pthread_mutex_lock(&publish->lock);
    struct view *after = view_copy(publish->current);
    page_policy_release(after->policy);
    after->policy = policy;
    replace_and_unlock(publish, after);
}

/* Makes the view in which source `id` has the status and, if `replace`, shows `judged`. */
static void update(struct publish *publish, size_t id, const struct source_status *status, bool replace,
                   struct judged *judged)
{
    pthread_mutex_lock(&publish->lock);
    struct view *after = view_copy(publish->current);
    struct source_view *source = find(after, id);
    if (source != NULL) {
        set_status(source, status);
        if (replace)
            show(source, judged);
    }
    replace_and_unlock(publish, after);
    if (source == NULL)
        judged_release(judged);
}

void publish_poll(struct publish *publish, size_t id, const struct source_status *status,
                  struct snapshot *snapshot, struct findings *findings)
{
    struct judged *judged = MEM_NEW(struct judged);
    atomic_init(&judged->holders, 1);
    judged->snapshot = snapshot;
    judged->findings = findings;
    update(publish, id, status, true, judged);
}

void publish_status(struct publish *publish, size_t id, const struct source_status *status, bool forget)
{
    update(publish, id, status, forget, NULL);
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
