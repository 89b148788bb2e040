#ifndef TIDEMARK_CONFIG_JSON_H
#define TIDEMARK_CONFIG_JSON_H

#include "exporter/base/buf.h"
#include "exporter/config.h"

/* Appends the configuration that is in force as JSON, in the form of a file. A property's value is shown only
 * where it is known to be no secret; else it is "<secret>". One thread. */
void config_json_add(struct buf *out, const struct config *config);

#endif
