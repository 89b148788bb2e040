#ifndef TIDEMARK_DEMO_STORIES_H
#define TIDEMARK_DEMO_STORIES_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What the demo's processes do. */
struct story {
    const char *name;
    bool (*tell)(const char *folder, struct error *error); /* goes on for ever; false when it failed */
};

/* All of them; static. */
const struct story *demo_stories(size_t *count);

/* Makes the store with its topics and a past, before the stories begin. */
bool demo_prepare_store(const char *folder, struct error *error);

#endif
