#include "exporter/encode_select.h"

#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"
#include "exporter/group_row.h"

#include <stdlib.h>

enum { NAME_LIMIT = 1 << 20 };

/* --- what the filter lets through ---------------------------------------------------------------------- */

/* Whether `pattern`, in which each * stands for any bytes, is the whole name. Remembers the last * only: what
 * an earlier one stands for never has to be tried again. */
static bool fits(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, retry = 0;
    while (n < name.length) {
        if (p < pattern.length && pattern.bytes[p] == '*') {
            star = p++;
            retry = n;
        } else if (p < pattern.length && pattern.bytes[p] == name.bytes[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.bytes[p] == '*')
        p++;
    return p == pattern.length;
}

/* Whether one of the patterns fits the name as it is shown, or there is none. */
static bool passes(const struct str *patterns, size_t count, struct str name)
{
    struct buf shown = buf_make(NAME_LIMIT);
    if (count > 0)
        utf8_add_shown(&shown, name);
    bool found = count == 0;
    for (size_t i = 0; i < count && !found; i++)
        found = fits(patterns[i], buf_str(&shown));
    buf_free(&shown);
    return found;
}

static void make_room(struct source_selection *selected, const struct snapshot *snapshot)
{
    selected->groups = MEM_ARRAY(snapshot->group_count, bool);
    selected->topics = MEM_ARRAY(snapshot->topic_count, bool);
}

/* The groups that are asked for, and the topics that they read. */
static void select_groups(struct source_selection *selected, const struct snapshot *snapshot,
                          const struct page_filter *filter)
{
    make_room(selected, snapshot);
    for (uint32_t g = 0; g < snapshot->group_count; g++)
        selected->groups[g] = passes(filter->groups, filter->group_count, snapshot->groups[g].name);
    for (uint32_t s = 0; s < snapshot->subscription_count; s++)
        if (selected->groups[snapshot->subscriptions[s].group])
            selected->topics[snapshot->subscriptions[s].topic] = true;
}

struct selection selection_make(const struct view *view, const struct page_filter *filter)
{
    struct selection selection = {MEM_ARRAY(view->source_count, struct source_selection), view->source_count};
    for (size_t i = 0; i < view->source_count; i++) {
        const struct source_view *source = &view->sources[i];
        struct source_selection *selected = &selection.sources[i];
        selected->shown =
            filter == NULL || passes(filter->clusters, filter->cluster_count, str_of(source->status.cluster));
        if (source->snapshot != NULL && filter != NULL && filter->group_count > 0)
            select_groups(selected, source->snapshot, filter);
    }
    return selection;
}

bool selection_shows(const struct source_selection *selected, int64_t topic, int64_t group)
{
    return selection_is_all(selected) ||
           ((topic == NO_INDEX || selected->topics[topic]) && (group == NO_INDEX || selected->groups[group]));
}

static void end_count(struct source_selection *selected)
{
    free(selected->group_series);
    free(selected->topic_series);
    selected->group_series = selected->topic_series = NULL;
}

void selection_free(struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        free(selection->sources[i].groups);
        free(selection->sources[i].topics);
        end_count(&selection->sources[i]);
    }
    free(selection->sources);
    *selection = (struct selection){0};
}

/* --- the limit ----------------------------------------------------------------------------------------- */

void selection_begin_count(struct selection *selection, const struct view *view)
{
    for (size_t i = 0; i < view->source_count; i++) {
        const struct snapshot *snapshot = view->sources[i].snapshot;
        struct source_selection *selected = &selection->sources[i];
        if (snapshot == NULL)
            continue;
        if (selection_is_all(selected)) {
            make_room(selected, snapshot);
            memset(selected->groups, true, snapshot->group_count);
            memset(selected->topics, true, snapshot->topic_count);
        }
        selected->group_series = MEM_ARRAY(snapshot->group_count, int64_t);
        selected->topic_series = MEM_ARRAY(snapshot->topic_count, int64_t);
    }
}

void selection_count(struct source_selection *selected, int64_t topic, int64_t group, int64_t series)
{
    if (topic != NO_INDEX && selected->topic_series != NULL)
        selected->topic_series[topic] += series;
    if (group != NO_INDEX && selected->group_series != NULL)
        selected->group_series[group] += series;
}

/* How many of the series belong to a group or a topic. */
static int64_t count_owned(const struct source_selection *selected, const struct snapshot *snapshot)
{
    int64_t count = 0;
    for (uint32_t g = 0; snapshot != NULL && g < snapshot->group_count; g++)
        count += selected->group_series[g];
    for (uint32_t t = 0; snapshot != NULL && t < snapshot->topic_count; t++)
        count += selected->topic_series[t];
    return count;
}

/* Takes the series off the room that is left; where they don't fit, they are left out and counted. */
static void admit(bool *shown, int64_t series, int64_t *room, int64_t *dropped)
{
    if (*shown && series > *room) {
        *shown = false;
        *dropped += series;
    } else if (*shown) {
        *room -= series;
    }
}

static int64_t leave_out(struct selection *selection, const struct view *view, int64_t room)
{
    int64_t dropped = 0;
    size_t count;
    struct group_row *rows = group_rows(view, &count);
    for (size_t i = 0; i < count; i++) {
        struct source_selection *selected = &selection->sources[rows[i].source - view->sources];
        uint32_t group = rows[i].index;
        admit(&selected->groups[group], selected->group_series[group], &room, &dropped);
    }
    free(rows);
    for (size_t i = 0; i < view->source_count; i++) {
        struct source_selection *selected = &selection->sources[i];
        const struct snapshot *snapshot = view->sources[i].snapshot;
        for (uint32_t t = 0; snapshot != NULL && t < snapshot->topic_count; t++)
            admit(&selected->topics[t], selected->topic_series[t], &room, &dropped);
    }
    return dropped;
}

int64_t selection_limit(struct selection *selection, const struct view *view, int64_t total, int64_t room)
{
    int64_t dropped = 0;
    if (total > room) {
        int64_t unowned = total;
        for (size_t i = 0; i < view->source_count; i++)
            unowned -= count_owned(&selection->sources[i], view->sources[i].snapshot);
        dropped = leave_out(selection, view, room - unowned);
    }
    for (size_t i = 0; i < view->source_count; i++)
        end_count(&selection->sources[i]);
    return dropped;
}
