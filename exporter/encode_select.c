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

/* The groups that are asked for, and the topics that they read. */
static void select_groups(struct source_selection *selected, const struct snapshot *snapshot,
                          const struct page_filter *filter)
{
    bool all = filter == NULL || filter->group_count == 0;
    for (uint32_t g = 0; g < snapshot->group_count; g++)
        selected->groups[g] = all || passes(filter->groups, filter->group_count, snapshot->groups[g].name);
    for (uint32_t t = 0; t < snapshot->topic_count; t++)
        selected->topics[t] = all;
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
        size_t groups = source->snapshot != NULL ? source->snapshot->group_count : 0;
        size_t topics = source->snapshot != NULL ? source->snapshot->topic_count : 0;
        selected->groups = MEM_ARRAY(groups, bool);
        selected->topics = MEM_ARRAY(topics, bool);
        selected->group_series = MEM_ARRAY(groups, int64_t);
        selected->topic_series = MEM_ARRAY(topics, int64_t);
        if (source->snapshot != NULL)
            select_groups(selected, source->snapshot, filter);
    }
    return selection;
}

void selection_free(struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        free(selection->sources[i].groups);
        free(selection->sources[i].topics);
        free(selection->sources[i].group_series);
        free(selection->sources[i].topic_series);
    }
    free(selection->sources);
    *selection = (struct selection){0};
}

/* --- the limit ----------------------------------------------------------------------------------------- */

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

int64_t selection_limit(struct selection *selection, const struct view *view, int64_t room)
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
