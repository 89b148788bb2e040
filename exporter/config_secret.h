#ifndef TIDEMARK_CONFIG_SECRET_H
#define TIDEMARK_CONFIG_SECRET_H

#include "exporter/base/error.h"

/* The contents of a file of up to 64 KiB without its last line break, or the value of an environment
 * variable: where a configuration doesn't hold a secret itself. The caller frees it. NULL: the error names
 * the file or the variable, and never what was read. */
char *config_secret_file(const char *path, struct error *error);
char *config_secret_environment(const char *name, struct error *error);

#endif
