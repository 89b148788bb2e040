#ifndef TIDEMARK_CONFIG_READER_H
#define TIDEMARK_CONFIG_READER_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Reads files of settings, in YAML or JSON, by tables: an object has keys, a key has a function that takes
 * its value. Every mistake is ERROR_USAGE in one line: file, line, path of the value, what is wrong with it
 * and what would be right.
 */

struct config_reader {
    const char *name; /* of the file */
    struct str text;  /* of the whole file, to find the line of a mistake */
    struct buf path;  /* of the value under way, such as sources[1].topics.include[0] */
    struct error *error;
};

/* What takes a value: `target` is what the object under way fills. */
typedef bool config_read(struct config_reader *reader, json_t *value, void *target);

/* What a value looks like: a row of the table in config_schema.c, and what `keys` mean to it. */
enum config_form {
    CONFIG_TEXT,
    CONFIG_DURATION,
    CONFIG_LABEL,
    CONFIG_LOG_FORMAT,
    CONFIG_LOG_LEVEL,
    CONFIG_GRANULARITY,
    CONFIG_OFFSETS,
    CONFIG_COUNT,      /* a number from 0 */
    CONFIG_PATTERNS,   /* a list of regular expressions */
    CONFIG_PROPERTIES, /* an object of texts, numbers and truth values, or where to find them */
    CONFIG_OBJECTS,    /* a list of objects */
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

/* Reads a whole file: YAML if its name ends in .yaml or .yml, else JSON. */
bool config_read_whole_file(const char *path, const struct config_key *keys, void *target,
                            struct error *error);

/* The same for a text in memory; `name` stands for the file. */
bool config_read_whole_text(const char *name, const char *text, size_t length, const struct config_key *keys,
                            void *target, struct error *error);

/* --- for what takes values ----------------------------------------------------------------------------- */

/* Complains about the value under way. Always false. */
bool config_fail(struct config_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts file, line and path in front of the error that is there. Always false. */
bool config_fail_with_error(struct config_reader *reader);

/* "an object", "a list", "a text" … */
const char *config_type_name(const json_t *value);

/* Reads an object by its table of keys, which ends with a NULL name. */
bool config_read_object(struct config_reader *reader, json_t *value, const struct config_key *keys,
                        void *target);

/* Reads each element of a list with `read`. */
bool config_read_list(struct config_reader *reader, json_t *value, config_read *read, void *target);

/* The text of a string that isn't empty; NULL with the error, which shows the example, for anything else. */
const char *config_read_value_text(struct config_reader *reader, const json_t *value, const char *example);

/* A text, number or truth value as text, to be freed; NULL with the error for anything else. */
char *config_read_scalar(struct config_reader *reader, const json_t *value);

#endif
