#include "exporter/page_policy.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

struct page_policy *page_policy_new(const struct name_filter *metrics, int64_t max_series)
{
    struct page_policy *policy = MEM_NEW(struct page_policy);
    atomic_init(&policy->holders, 1);
    policy->max_series = max_series;
    for (int metric = 0; metric < METRICS; metric++)
        policy->hidden[metric] = !name_filter_passes(metrics, str_of(metric_row((enum metric)metric)->name));
    return policy;
}

struct page_policy *page_policy_hold(struct page_policy *policy)
{
    if (policy != NULL)
        atomic_fetch_add(&policy->holders, 1);
    return policy;
}

void page_policy_release(struct page_policy *policy)
{
    if (policy != NULL && atomic_fetch_sub(&policy->holders, 1) == 1)
        free(policy);
}
