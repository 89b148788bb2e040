#ifndef TIDEMARK_CONFIG_FILE_H
#define TIDEMARK_CONFIG_FILE_H

#include "exporter/config_reader.h"

/* The keys of a whole configuration file, for config_file.c and config_schema.c. */
extern const struct config_key config_file_keys[];

#endif
