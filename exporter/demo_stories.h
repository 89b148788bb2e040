#ifndef TIDEMARK_DEMO_STORIES_H
#define TIDEMARK_DEMO_STORIES_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What happens in the demo: each story is one group and what becomes of it. */
struct story {
    const char *group;
    const char *verdict; /* what is to be seen of it within two minutes, and from then on */
    const char *meaning;
    const struct plot *plot;
    unsigned members; /* how many processes tell it at once */
};

/* The stories, gravest first; static. */
const struct story *demo_stories(size_t *count);

/* Lets every group begin where its story does, in the store that demo_store_prepare() made in the folder. */
bool demo_stories_prepare(const char *folder, struct error *error);

/* The path of the file that mends the stuck mailer as soon as it is there; the caller frees it. */
char *demo_stories_mended(const char *folder);

/* One member's part of a story: goes on for ever, and returns only when that fails. */
void demo_stories_tell(const struct story *story, unsigned member, const char *folder, struct error *error);

#endif
