#ifndef TIDEMARK_CONFIG_SCHEMA_H
#define TIDEMARK_CONFIG_SCHEMA_H

/* `tidemark schema`: prints the JSON Schema (draft 2020-12) of the configuration file, for editors that
 * complete and check it. Returns the exit code. */
int config_schema_command(int argc, char **argv);

#endif
