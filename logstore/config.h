#ifndef LOGSTORE_CONFIG_H
#define LOGSTORE_CONFIG_H

#include "logstore/logstore.h"

/* Whether each value is within its range; ERROR_USAGE names the first that isn't. */
bool topic_config_check(const struct logstore_config *config, struct error *error);

#endif
