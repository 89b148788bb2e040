#ifndef TIDEMARK_OVERRIDES_H
#define TIDEMARK_OVERRIDES_H

#include "exporter/base/pattern.h"
#include "exporter/base/str.h"
#include "exporter/rules.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Other numbers for some: rules that hold for the clusters, groups and topics whose names match. They are
 * laid over the rules in their order, so that of two that fit the later one wins. Without one a judgement
 * costs nothing more; with some, names are matched once and remembered (memory.h).
 */
struct override {
    struct name_filter clusters, groups, topics; /* empty: every one */
    struct rules rules;                          /* those of them that `set` names */
    rule_set set;
};

struct overrides {
    struct override *all; /* owned */
    size_t count;
    uint64_t edition; /* differs between any two that were made in this process; 0: there are none */
};

/* Adds one that holds for everything and sets nothing; valid until the next is added. */
struct override *overrides_add(struct overrides *overrides);

void overrides_free(struct overrides *overrides);

/* The rules for what has these names. NULL for a name: it is about something wider, and only overrides
 * without a pattern for that kind of name hold. */
struct rules overrides_apply(const struct overrides *overrides, const struct rules *rules,
                             const struct str *cluster, const struct str *group, const struct str *topic);

#endif
