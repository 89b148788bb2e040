#ifndef TIDEMARK_CONFIG_YAML_H
#define TIDEMARK_CONFIG_YAML_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"

#include <jansson.h>
#include <stddef.h>

/*
 * YAML 1.2 (https://yaml.org/spec/1.2.2/) into the tree that JSON gives, so that one validation serves both.
 * Plain scalars have the types of the core schema (section 10.3.2): `no` and `off` are texts, as is whatever
 * stands in quotes. A configuration is written by hand, so what would make it mean something else than it
 * shows is refused: a key twice, an alias, a tag other than !!str, a second document, and a number that is
 * not written as JSON writes it (0123, 0x1F, 1.10), since where a text is expected it would come out changed.
 */

/* The tree, to be given back with json_decref(). NULL: ERROR_USAGE, "NAME:LINE:COLUMN: " and the reason. */
json_t *config_yaml_read(const char *name, const char *text, size_t length, struct error *error);

/* A place in the tree as people write it: sources[1].topics.include[0], properties["ssl.ca.location"]. */
void config_path_enter_key(struct buf *path, const char *key);
void config_path_enter_index(struct buf *path, size_t index);

/* The line, from 1, where the value at `path` or the nearest that holds it begins in a YAML text, or in JSON,
 * which nearly always is YAML too. 0 when the text can't be read. */
size_t config_yaml_line(const char *text, size_t length, struct str path);

#endif
