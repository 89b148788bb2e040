#include "exporter/config_file.h"

#include "exporter/base/buf.h"
#include "exporter/base/duration.h"
#include "exporter/base/mem.h"
#include "exporter/config.h"
#include "exporter/config_secret.h"
#include "exporter/config_yaml.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A configuration file is read by tables: an object has keys, a key has a function that takes its value. The
 * reader carries the path to the value under way, such as sources[1].topics.include[0], for the errors.
 * JSON and YAML become the same tree, so there is one validation, and config_schema.c makes a JSON Schema of
 * the same tables.
 */

enum { FILE_LIMIT = 16 * 1024 * 1024, PATH_LIMIT = FILE_LIMIT };

struct config_reader {
    struct config *config;
    const char *name; /* of the file */
    struct str text;  /* of the whole file, to find the line of a mistake */
    struct buf path;
    struct error *error;
};

/* --- errors -------------------------------------------------------------------------------------------- */

/* A text that is quoted may have line breaks, which a complaint in one line must not. */
static void make_one_line(char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

/* Puts file, line and path in front of the error that is there. Always false. */
static bool fail_with_error(struct config_reader *reader)
{
    make_one_line(reader->error->text);
    int length = reader->path.length > INT32_MAX ? INT32_MAX : (int)reader->path.length;
    if (length > 0)
        error_wrap(reader->error, "%.*s", length, reader->path.bytes);
    size_t line = config_yaml_line(reader->text.bytes, reader->text.length, buf_str(&reader->path));
    if (line > 0)
        error_wrap(reader->error, "%s:%zu", reader->name, line);
    else
        error_wrap(reader->error, "%s", reader->name);
    return false;
}

static bool fail(struct config_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct config_reader *reader, const char *format, ...)
{
    struct buf text = buf_make(PATH_LIMIT);
    va_list arguments;
    va_start(arguments, format);
    char *line = NULL;
    if (vasprintf(&line, format, arguments) >= 0)
        buf_add_text(&text, line);
    va_end(arguments);
    free(line);
    error_set(reader->error, ERROR_USAGE, "%.*s", (int)text.length, text.length > 0 ? text.bytes : "");
    buf_free(&text);
    return fail_with_error(reader);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

/* Levenshtein's distance between a and b, whose length is at most 31; more when it is longer. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST], length = strlen(b);
    if (length >= LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0]++;
        for (size_t j = 0; j < length; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t least = row[j] < diagonal ? row[j] + 1 : diagonal + 1;
            row[j + 1] = least < replaced ? least : replaced;
        }
    }
    return row[length];
}

static bool fail_unknown_key(struct config_reader *reader, const struct config_key *keys, const char *name)
{
    const struct config_key *nearest = keys;
    for (const struct config_key *key = keys; key->name != NULL; key++)
        if (distance(name, key->name) < distance(name, nearest->name))
            nearest = key;
    return fail(reader, "unknown key; the nearest that there is: \"%s\"", nearest->name);
}

/* --- shapes -------------------------------------------------------------------------------------------- */

/* Reads an object by its table of keys, which ends with a NULL name. */
static bool read_object(struct config_reader *reader, json_t *value, const struct config_key *keys,
                        void *target)
{
    if (!json_is_object(value))
        return fail(reader, "expected an object, {…}, not %s", type_name(value));
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        const struct config_key *key = keys;
        while (key->name != NULL && strcmp(key->name, name) != 0)
            key++;
        if (key->name == NULL)
            return fail_unknown_key(reader, keys, name);
        if (!key->read(reader, member, target))
            return false;
        reader->path.length = length;
    }
    return true;
}

/* Reads each element of a list with `read`. */
static bool read_list(struct config_reader *reader, json_t *value, config_read *read, void *target)
{
    if (!json_is_array(value))
        return fail(reader, "expected a list, […], not %s", type_name(value));
    size_t length = reader->path.length, i;
    json_t *element;
    json_array_foreach(value, i, element)
    {
        config_path_enter_index(&reader->path, i);
        if (!read(reader, element, target))
            return false;
        reader->path.length = length;
    }
    return true;
}

/* The text of a string; NULL with the error for anything else. */
static const char *read_text(struct config_reader *reader, const json_t *value, const char *example)
{
    if (json_is_string(value) && json_string_length(value) > 0)
        return json_string_value(value);
    fail(reader, "expected a text, such as \"%s\", not %s", example,
         json_is_string(value) ? "an empty one" : type_name(value));
    return NULL;
}

/* A text, number or truth value as text, to be freed; NULL with the error for anything else. */
static char *read_scalar(struct config_reader *reader, const json_t *value)
{
    if (json_is_string(value))
        return mem_copy_text(json_string_value(value));
    char *text = json_is_number(value) || json_is_boolean(value)
                     ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
                     : NULL;
    if (text == NULL)
        fail(reader, "expected a text or a number, not %s", type_name(value));
    return text;
}

static bool read_duration(struct config_reader *reader, const json_t *value, int64_t *ms)
{
    const char *text = read_text(reader, value, "15s");
    if (text == NULL)
        return false;
    return duration_parse(text, ms, reader->error) || fail_with_error(reader);
}

/* --- a source ------------------------------------------------------------------------------------------ */

/* A key whose value is a text that takes the place of *text. */
static bool read_new_text(struct config_reader *reader, const json_t *value, const char *example, char **text)
{
    const char *read = read_text(reader, value, example);
    if (read == NULL)
        return false;
    free(*text);
    *text = mem_copy_text(read);
    return true;
}

static bool read_name(struct config_reader *reader, json_t *value, void *source)
{
    return read_new_text(reader, value, "production", &((struct source_config *)source)->name);
}

static bool read_address(struct config_reader *reader, json_t *value, struct source_config *source,
                         const char *kind, const char *example)
{
    if (source->kind[0] != '\0')
        return fail(reader, "a source is one thing: this one has \"%s\" already", source->kind);
    free(source->kind);
    source->kind = mem_copy_text(kind);
    return read_new_text(reader, value, example, &source->address);
}

static bool read_kafka(struct config_reader *reader, json_t *value, void *source)
{
    return read_address(reader, value, source, "kafka", "broker-1:9092,broker-2:9092");
}

static bool read_logstore(struct config_reader *reader, json_t *value, void *source)
{
    return read_address(reader, value, source, "logstore", "/var/lib/myapp/log");
}

static bool read_source_interval(struct config_reader *reader, json_t *value, void *source)
{
    return read_duration(reader, value, &((struct source_config *)source)->poll_interval_ms);
}

static bool read_source_timeout(struct config_reader *reader, json_t *value, void *source)
{
    return read_duration(reader, value, &((struct source_config *)source)->timeout_ms);
}

/* {"file": PATH} or {"env": NAME}: the value is there. */
static char *read_secret(struct config_reader *reader, const json_t *value)
{
    const char *file = json_string_value(json_object_get(value, "file"));
    const char *variable = json_string_value(json_object_get(value, "env"));
    if (json_object_size(value) != 1 || (file == NULL && variable == NULL)) {
        fail(reader,
             "expected a value, {\"file\": \"/etc/tidemark/password\"} or {\"env\": \"KAFKA_PASSWORD\"}");
        return NULL;
    }
    char *text = file != NULL ? config_secret_file(file, reader->error)
                              : config_secret_environment(variable, reader->error);
    if (text == NULL)
        fail_with_error(reader);
    return text;
}

static bool read_properties(struct config_reader *reader, json_t *value, void *target)
{
    struct source_config *source = target;
    if (!json_is_object(value))
        return fail(reader, "expected an object, such as {\"security.protocol\": \"SSL\"}, not %s",
                    type_name(value));
    source->properties = MEM_ARRAY(json_object_size(value), struct source_property);
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        char *text = json_is_object(member) ? read_secret(reader, member) : read_scalar(reader, member);
        if (text == NULL)
            return false;
        source->properties[source->property_count++] = (struct source_property){mem_copy_text(name), text};
        reader->path.length = length;
    }
    return true;
}

static bool read_pattern(struct config_reader *reader, json_t *value, struct name_filter *filter,
                         enum filter_side side)
{
    const char *pattern = read_text(reader, value, "orders-.*");
    if (pattern == NULL)
        return false;
    return name_filter_add(filter, side, pattern, reader->error) || fail_with_error(reader);
}

static bool read_include_pattern(struct config_reader *reader, json_t *value, void *filter)
{
    return read_pattern(reader, value, filter, FILTER_INCLUDE);
}

static bool read_exclude_pattern(struct config_reader *reader, json_t *value, void *filter)
{
    return read_pattern(reader, value, filter, FILTER_EXCLUDE);
}

static bool read_include(struct config_reader *reader, json_t *value, void *filter)
{
    return read_list(reader, value, read_include_pattern, filter);
}

static bool read_exclude(struct config_reader *reader, json_t *value, void *filter)
{
    return read_list(reader, value, read_exclude_pattern, filter);
}

static const struct config_key filter_keys[] = {
    {"include", read_include, CONFIG_PATTERNS, NULL, "Names that are wanted; all, if this is left out."},
    {"exclude", read_exclude, CONFIG_PATTERNS, NULL, "Names that are not, though they are included."},
    CONFIG_LAST_KEY,
};

static bool read_topics(struct config_reader *reader, json_t *value, void *source)
{
    return read_object(reader, value, filter_keys, &((struct source_config *)source)->topics);
}

static bool read_groups(struct config_reader *reader, json_t *value, void *source)
{
    return read_object(reader, value, filter_keys, &((struct source_config *)source)->groups);
}

static const struct config_key source_keys[] = {
    {"name", read_name, CONFIG_TEXT, NULL, "Becomes the label `cluster` of its series."},
    {"kafka", read_kafka, CONFIG_TEXT, NULL,
     "Bootstrap servers of a Kafka cluster: HOST:PORT, with commas between."},
    {"logstore", read_logstore, CONFIG_TEXT, NULL, "Folder of a log store."},
    {"properties", read_properties, CONFIG_PROPERTIES, NULL,
     "Properties of librdkafka, for TLS and SASL among others."},
    {"topics", read_topics, CONFIG_OBJECT, filter_keys, "Which topics are observed."},
    {"groups", read_groups, CONFIG_OBJECT, filter_keys, "Which consumer groups are observed."},
    {"poll_interval", read_source_interval, CONFIG_DURATION, NULL, "How often this source is polled."},
    {"timeout", read_source_timeout, CONFIG_DURATION, NULL, "For each request to this source."},
    CONFIG_LAST_KEY,
};

static bool read_source(struct config_reader *reader, json_t *value, void *target)
{
    (void)target;
    struct source_config *source = config_add_source(reader->config, "", "", "");
    source->written = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    if (!read_object(reader, value, source_keys, source))
        return false;
    if (source->kind[0] == '\0')
        return fail(reader, "a source needs \"kafka\" (its bootstrap servers) or \"logstore\" (its folder)");
    if (source->name[0] == '\0')
        return fail(reader, "a source needs a \"name\": it becomes the label of its series");
    return true;
}

/* --- the file ------------------------------------------------------------------------------------------ */

static bool read_sources(struct config_reader *reader, json_t *value, void *target)
{
    return read_list(reader, value, read_source, target);
}

static bool read_rules(struct config_reader *reader, json_t *value, void *target)
{
    (void)target;
    if (!json_is_object(value))
        return fail(reader, "expected an object, such as {\"objective\": \"5m\"}, not %s", type_name(value));
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        char *text = read_scalar(reader, member);
        bool done = text != NULL &&
                    (rules_set(&reader->config->rules, name, text, reader->error) || fail_with_error(reader));
        free(text);
        if (!done)
            return false;
        reader->path.length = length;
    }
    return true;
}

/* A setting of the whole daemon: its key is the path. */
static bool read_setting(struct config_reader *reader, json_t *value, void *target)
{
    (void)target;
    const char *text = read_text(reader, value, "15s");
    if (text == NULL)
        return false;
    char *key = mem_copy_str(buf_str(&reader->path));
    bool done = config_set(reader->config, key, text, reader->error);
    free(key);
    return done || fail_with_error(reader);
}

const struct config_key config_file_keys[] = {
    {"listen", read_setting, CONFIG_TEXT, NULL, "Where to serve: ADDRESS:PORT. Default: :9308."},
    {"poll_interval", read_setting, CONFIG_DURATION, NULL, "How often sources are polled. Default: 15s."},
    {"timeout", read_setting, CONFIG_DURATION, NULL, "For each request to a source. Default: 10s."},
    {"log_format", read_setting, CONFIG_LOG_FORMAT, NULL, "Default: logfmt."},
    {"log_level", read_setting, CONFIG_LOG_LEVEL, NULL,
     "The least grave messages that are logged. Default: info."},
    {"cluster_label", read_setting, CONFIG_LABEL, NULL, "Name of the label `cluster`."},
    {"rules", read_rules, CONFIG_RULES, NULL, "Numbers that the conditions depend on."},
    {"sources", read_sources, CONFIG_SOURCES, source_keys, "What is watched."},
    CONFIG_LAST_KEY,
};

static bool is_yaml(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending != NULL && (strcmp(ending, ".yaml") == 0 || strcmp(ending, ".yml") == 0);
}

static json_t *read_json(const char *name, struct str text, struct error *error)
{
    json_error_t reason;
    json_t *root = json_loadb(text.bytes, text.length, JSON_REJECT_DUPLICATES, &reason);
    if (root == NULL)
        error_set(error, ERROR_USAGE, "%s: line %d, column %d: no JSON: %s", name, reason.line, reason.column,
                  reason.text);
    return root;
}

bool config_read_text(struct config *config, const char *name, const char *text, size_t length,
                      struct error *error)
{
    json_t *root = is_yaml(name) ? config_yaml_read(name, text, length, error)
                                 : read_json(name, (struct str){text, length}, error);
    if (root == NULL)
        return false;
    struct config_reader reader = {
        .config = config,
        .name = name,
        .text = {text, length},
        .path = buf_make(PATH_LIMIT),
        .error = error,
    };
    bool done = read_object(&reader, root, config_file_keys, NULL);
    buf_free(&reader.path);
    json_decref(root);
    return done;
}

static bool read_all(FILE *file, struct buf *content)
{
    char piece[16 * 1024];
    size_t count;
    while ((count = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(content, piece, count);
    return !ferror(file);
}

bool config_read_file(struct config *config, const char *path, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        error_set_errno(error, ERROR_USAGE, errno, "can't open configuration file %s", path);
        return false;
    }
    struct buf content = buf_make(FILE_LIMIT);
    bool done = read_all(file, &content);
    int reason = errno;
    (void)fclose(file); /* nothing was written */
    if (!done)
        error_set_errno(error, ERROR_USAGE, reason, "can't read configuration file %s", path);
    else if (!buf_ok(&content)) {
        error_set(error, ERROR_USAGE, "configuration file %s is larger than %d bytes", path, FILE_LIMIT);
        done = false;
    } else
        done = config_read_text(config, path, content.length > 0 ? content.bytes : "", content.length, error);
    buf_free(&content);
    return done;
}
