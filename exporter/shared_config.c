#include "exporter/shared_config.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

struct shared_config *shared_config_new(struct config *config)
{
    struct shared_config *shared = MEM_NEW(struct shared_config);
    atomic_init(&shared->holders, 1);
    shared->config = *config;
    *config = (struct config){0};
    return shared;
}

struct shared_config *shared_config_hold(struct shared_config *shared)
{
    atomic_fetch_add(&shared->holders, 1);
    return shared;
}

void shared_config_release(struct shared_config **shared)
{
    struct shared_config *s = *shared;
    *shared = NULL;
    if (s == NULL || atomic_fetch_sub(&s->holders, 1) != 1)
        return;
    config_free(&s->config);
    free(s);
}
