#include "exporter/config_schema.h"

#include "exporter/config_file.h"
#include "exporter/rules.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Made of the tables that the file is read by, so that a key can't be read and missing here. */

static json_t *describe_keys(const struct config_key *keys);

/* exporter/base/duration.c reads these, exporter/config.c the names of labels. */
#define DURATION_PATTERN "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$"
#define LABEL_PATTERN    "^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$"

static json_t *describe_text(void)
{
    return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
}

static json_t *describe_pattern(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *describe_scalar(void)
{
    return json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean");
}

/* The value is in a file, or in an environment variable. */
static json_t *describe_elsewhere(const char *where)
{
    return json_pack("{s:s, s:b, s:[s], s:{s:o}}", "type", "object", "additionalProperties", 0, "required",
                     where, "properties", where, json_pack("{s:s}", "type", "string"));
}

static json_t *describe_rule(const char *meaning, json_t *value)
{
    json_object_set_new(value, "description", json_string(meaning));
    return value;
}

static json_t *describe_rules(void)
{
    json_t *rules = json_object();
#define ROW_DURATION(name, value, scope, meaning)                                                            \
    json_object_set_new(rules, #name, describe_rule(meaning, describe_pattern(DURATION_PATTERN)));
#define ROW_SHARE(name, value, scope, meaning)                                                               \
    json_object_set_new(rules, #name,                                                                        \
                        describe_rule(meaning, json_pack("{s:[s,s], s:i, s:i}", "type", "number", "string",  \
                                                         "exclusiveMinimum", 0, "maximum", 1)));
#define ROW_COUNT(name, value, scope, meaning)                                                               \
    json_object_set_new(rules, #name,                                                                        \
                        describe_rule(meaning, json_pack("{s:[s,s], s:i, s:i}", "type", "integer", "string", \
                                                         "minimum", 1, "maximum", 1000)));
    RULE_TABLE(ROW_DURATION, ROW_SHARE, ROW_COUNT)
    return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties", rules);
}

static json_t *describe_sources(const struct config_key *keys)
{
    json_t *source = describe_keys(keys);
    json_object_set_new(source, "required", json_pack("[s]", "name"));
    json_object_set_new(source, "oneOf",
                        json_pack("[{s:[s]},{s:[s]}]", "required", "kafka", "required", "logstore"));
    return json_pack("{s:s, s:o}", "type", "array", "items", source);
}

static json_t *describe(const struct config_key *key)
{
    switch (key->form) {
    case CONFIG_DURATION:
        return describe_pattern(DURATION_PATTERN);
    case CONFIG_LABEL:
        return describe_pattern(LABEL_PATTERN);
    case CONFIG_LOG_FORMAT:
        return json_pack("{s:[s,s]}", "enum", "logfmt", "json");
    case CONFIG_LOG_LEVEL:
        return json_pack("{s:[s,s,s]}", "enum", "info", "warn", "error");
    case CONFIG_GRANULARITY:
        return json_pack("{s:[s,s,s]}", "enum", "partition", "topic", "group");
    case CONFIG_OFFSETS:
        return json_pack("{s:[s,s,s]}", "enum", "auto", "admin", "topic");
    case CONFIG_COUNT:
        return json_pack("{s:[s,s], s:i, s:s}", "type", "integer", "string", "minimum", 0, "pattern",
                         "^[0-9]{1,12}$");
    case CONFIG_PATTERNS:
        return json_pack("{s:s, s:o}", "type", "array", "items", describe_text());
    case CONFIG_PROPERTIES:
        return json_pack("{s:s, s:{s:[o,o,o]}}", "type", "object", "additionalProperties", "anyOf",
                         describe_scalar(), describe_elsewhere("file"), describe_elsewhere("env"));
    case CONFIG_RULES:
        return describe_rules();
    case CONFIG_OBJECT:
        return describe_keys(key->keys);
    case CONFIG_OBJECTS:
        return json_pack("{s:s, s:o}", "type", "array", "items", describe_keys(key->keys));
    case CONFIG_SOURCES:
        return describe_sources(key->keys);
    default:
        return describe_text();
    }
}

static json_t *describe_keys(const struct config_key *keys)
{
    json_t *properties = json_object();
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        json_t *value = describe(key);
        json_object_set_new(value, "description", json_string(key->meaning));
        json_object_set_new(properties, key->name, value);
    }
    return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties",
                     properties);
}

int config_schema_command(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs("tidemark schema: the JSON Schema of the configuration file, for editors that check it\n\n"
              "Example: tidemark schema >tidemark.schema.json\n",
              stdout);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "tidemark schema: %s: not expected here; it takes no arguments\n", argv[1]);
        return 2;
    }
    json_t *schema = json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                               "title", "Configuration of tidemark");
    json_t *file = describe_keys(config_file_keys);
    json_object_update(schema, file);
    json_decref(file);
    bool printed = json_dumpf(schema, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(schema);
    return printed && fflush(stdout) == 0 ? 0 : 1;
}
