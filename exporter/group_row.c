#include "exporter/group_row.h"

#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_LIMIT = 1 << 20 };

bool group_row_rates(const struct group_row *row, uint32_t subscription, struct chart_rates *rates)
{
    if (!chart_rates(row->source->findings->subscriptions[subscription].chart, rates))
        return false;
    if (row->findings->conditions & 1u << CONDITION_STOPPED)
        rates->read = 0; /* the mean of the last minutes is of when it still read */
    return true;
}

static void add_rates(struct group_row *row, uint32_t subscription)
{
    struct chart_rates rates;
    if (!group_row_rates(row, subscription, &rates))
        return;
    row->rates.written += rates.written;
    row->rates.read += rates.read;
    row->rates_known = true;
}

struct group_row group_row(const struct source_view *source, uint32_t index)
{
    const struct snap_group *group = &source->snapshot->groups[index];
    struct group_row row = {
        .source = source,
        .group = group,
        .findings = &source->findings->groups[index],
        .total = group_total(source->findings, group),
        .index = index,
    };
    for (uint32_t i = 0; i < group->subscriptions; i++)
        add_rates(&row, group->first_subscription + i);
    return row;
}

/* What isn't known may be bad: it stands before what is fine. */
static int rank(const struct group_row *row)
{
    return 2 * (int)group_gravest(row->findings) + (row->findings->unknown ? 0 : 1);
}

static int worst_first(const void *a, const void *b)
{
    const struct group_row *x = a, *y = b;
    if (rank(x) != rank(y))
        return rank(x) < rank(y) ? -1 : 1;
    if (x->total.lag_ms_max != y->total.lag_ms_max)
        return x->total.lag_ms_max > y->total.lag_ms_max ? -1 : 1;
    if (x->total.lag_sum != y->total.lag_sum)
        return x->total.lag_sum > y->total.lag_sum ? -1 : 1;
    return str_compare(x->group->name, y->group->name);
}

struct group_row *group_rows(const struct view *view, size_t *count)
{
    *count = 0;
    for (size_t s = 0; s < view->source_count; s++)
        if (view->sources[s].snapshot != NULL)
            *count += view->sources[s].snapshot->group_count;
    struct group_row *rows = MEM_ARRAY(*count, struct group_row);
    size_t filled = 0;
    for (size_t s = 0; s < view->source_count; s++) {
        const struct source_view *source = &view->sources[s];
        for (uint32_t g = 0; source->snapshot != NULL && g < source->snapshot->group_count; g++)
            rows[filled++] = group_row(source, g);
    }
    qsort(rows, *count, sizeof *rows, worst_first);
    return rows;
}

enum grade group_row_grade(const struct group_row *row)
{
    enum condition gravest = group_gravest(row->findings);
    return gravest == CONDITIONS ? GRADE_OK : condition_grade(gravest);
}

/* The index of the group that is shown by this name, or NO_INDEX. */
static int64_t find_shown(const struct snapshot *snapshot, struct str name)
{
    int64_t plain = snapshot_find_group(snapshot, name);
    if (plain != NO_INDEX && utf8_plain_prefix(name) == name.length)
        return plain;
    struct buf shown = buf_make(NAME_LIMIT);
    int64_t found = NO_INDEX;
    for (uint32_t g = 0; g < snapshot->group_count && found == NO_INDEX; g++) {
        buf_reset(&shown);
        utf8_add_shown(&shown, snapshot->groups[g].name);
        if (buf_ok(&shown) && str_equal(buf_str(&shown), name))
            found = g;
    }
    buf_free(&shown);
    return found;
}

bool group_row_find(const struct view *view, struct str name, const char *cluster, struct group_row *row)
{
    for (size_t i = 0; i < view->source_count; i++) {
        const struct source_view *source = &view->sources[i];
        if (source->snapshot == NULL || (cluster != NULL && strcmp(source->status.cluster, cluster) != 0))
            continue;
        int64_t found = find_shown(source->snapshot, name);
        if (found == NO_INDEX)
            continue;
        *row = group_row(source, (uint32_t)found);
        return true;
    }
    return false;
}
