#ifndef TIDEMARK_PAGE_POLICY_H
#define TIDEMARK_PAGE_POLICY_H

#include "exporter/base/pattern.h"
#include "exporter/metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the configuration lets onto a page. It doesn't change any more, and is freed with its last holder: a
 * reload publishes a new one. Any thread. */
struct page_policy {
    atomic_size_t holders;
    bool hidden[METRICS]; /* families that are switched off */
    int64_t max_series;   /* on a page; 0: no limit */
};

/* The caller is the one holder; `metrics` is needed for the call only. */
struct page_policy *page_policy_new(const struct name_filter *metrics, int64_t max_series);

/* One holder more; returns `policy`, which may be NULL. */
struct page_policy *page_policy_hold(struct page_policy *policy);

/* One holder less; NULL is accepted. */
void page_policy_release(struct page_policy *policy);

#endif
