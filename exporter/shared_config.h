#ifndef TIDEMARK_SHARED_CONFIG_H
#define TIDEMARK_SHARED_CONFIG_H

#include "exporter/config.h"

#include <stdatomic.h>

/* A configuration that doesn't change any more, with its holders: a reload makes a new one, and the old one
 * is freed when the last poller has let go of it. Any thread. */
struct shared_config {
    atomic_size_t holders;
    struct config config;
};

/* Takes over what *config owns, and leaves it empty. The caller is the one holder. */
struct shared_config *shared_config_new(struct config *config);

/* One holder more; returns `shared`. */
struct shared_config *shared_config_hold(struct shared_config *shared);

/* One holder less; sets *shared to NULL; NULL is accepted. */
void shared_config_release(struct shared_config **shared);

#endif
