#ifndef TIDEMARK_JSON_VALUE_H
#define TIDEMARK_JSON_VALUE_H

#include "exporter/base/json_writer.h"
#include "exporter/events.h"
#include "exporter/snapshot.h"

/* Members of a JSON object, key and value. What is unknown is left out. `key` is plain ASCII. */

void json_add_int(struct json_writer *json, const char *key, int64_t value);
void json_add_bool(struct json_writer *json, const char *key, bool value);

/* A duration or a time in milliseconds, as seconds. */
void json_add_seconds(struct json_writer *json, const char *key, int64_t ms);

/* Left out when it is NULL. */
void json_add_text(struct json_writer *json, const char *key, const char *text);

void json_add_str(struct json_writer *json, const char *key, struct str text);

/* The members that tell of an event, inside an object that the caller opens and closes. */
void json_add_event(struct json_writer *json, const struct event *event, struct str topic);

#endif
