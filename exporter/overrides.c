#include "exporter/overrides.h"

#include "exporter/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

struct override *overrides_add(struct overrides *overrides)
{
    static atomic_uint_fast64_t editions;
    size_t capacity = overrides->count;
    overrides->all = mem_grow(overrides->all, &capacity, overrides->count + 1, sizeof *overrides->all);
    overrides->edition = atomic_fetch_add(&editions, 1) + 1;
    struct override *added = &overrides->all[overrides->count++];
    *added = (struct override){.rules = rules_default()};
    return added;
}

void overrides_free(struct overrides *overrides)
{
    for (size_t i = 0; i < overrides->count; i++) {
        name_filter_free(&overrides->all[i].clusters);
        name_filter_free(&overrides->all[i].groups);
        name_filter_free(&overrides->all[i].topics);
    }
    free(overrides->all);
    *overrides = (struct overrides){0};
}

static bool fits(const struct name_filter *filter, const struct str *name)
{
    if (filter->include.count == 0 && filter->exclude.count == 0)
        return true;
    return name != NULL && name_filter_passes(filter, *name);
}

struct rules overrides_apply(const struct overrides *overrides, const struct rules *rules,
                             const struct str *cluster, const struct str *group, const struct str *topic)
{
    struct rules applied = *rules;
    for (size_t i = 0; i < overrides->count; i++) {
        const struct override *override = &overrides->all[i];
        if (fits(&override->clusters, cluster) && fits(&override->groups, group) &&
            fits(&override->topics, topic))
            rules_overlay(&applied, &override->rules, override->set);
    }
    return applied;
}
