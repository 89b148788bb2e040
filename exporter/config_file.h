#ifndef TIDEMARK_CONFIG_FILE_H
#define TIDEMARK_CONFIG_FILE_H

#include <jansson.h>
#include <stdbool.h>

/* The tables that a configuration file is read by, for config_file.c and config_schema.c. */

struct config_reader;

/* What takes a value: `target` is what the object under way fills. */
typedef bool config_read(struct config_reader *reader, json_t *value, void *target);

/* What a value looks like: a row of the table in config_schema.c, and what `keys` mean to it. */
enum config_form {
    CONFIG_TEXT,
    CONFIG_DURATION,
    CONFIG_LABEL,
    CONFIG_LOG_FORMAT,
    CONFIG_LOG_LEVEL,
    CONFIG_PATTERNS,   /* a list of regular expressions */
    CONFIG_PROPERTIES, /* an object of texts, numbers and truth values, or where to find them */
    CONFIG_RULES,      /* an object of the rules in exporter/rules.h */
    CONFIG_OBJECT,     /* an object with `keys` */
    CONFIG_SOURCES,    /* a list of objects with `keys`: one kind of source each */
};

struct config_key {
    const char *name; /* NULL: behind the last */
    config_read *read;
    enum config_form form;
    const struct config_key *keys; /* NULL where the form has none */
    const char *meaning;           /* a sentence for the schema */
};

#define CONFIG_LAST_KEY                                                                                      \
    {                                                                                                        \
        NULL, NULL, CONFIG_TEXT, NULL, NULL                                                                  \
    }

/* The keys of a whole file. */
extern const struct config_key config_file_keys[];

#endif
