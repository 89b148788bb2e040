#include "exporter/config_file.h"

#include "exporter/base/buf.h"
#include "exporter/base/duration.h"
#include "exporter/base/mem.h"
#include "exporter/config.h"
#include "exporter/config_secret.h"
#include "exporter/config_yaml.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/*
 * A configuration file is read by tables: an object has keys, a key has a function that takes its value. The
 * reader carries the path to the value under way, such as sources[1].topics.include[0], for the errors.
 * JSON and YAML become the same tree, so there is one validation, and config_schema.c makes a JSON Schema of
 * the same tables.
 */

/* --- values -------------------------------------------------------------------------------------------- */

static bool read_duration(struct config_reader *reader, const json_t *value, int64_t *ms)
{
    const char *text = config_read_value_text(reader, value, "15s");
    if (text == NULL)
        return false;
    return duration_parse(text, ms, reader->error) || config_fail_with_error(reader);
}

/* --- a source ------------------------------------------------------------------------------------------ */

/* A key whose value is a text that takes the place of *text. */
static bool read_new_text(struct config_reader *reader, const json_t *value, const char *example, char **text)
{
    const char *read = config_read_value_text(reader, value, example);
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
        return config_fail(reader, "a source is one thing: this one has \"%s\" already", source->kind);
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
        config_fail(
            reader,
            "expected a value, {\"file\": \"/etc/tidemark/password\"} or {\"env\": \"KAFKA_PASSWORD\"}");
        return NULL;
    }
    char *text = file != NULL ? config_secret_file(file, reader->error)
                              : config_secret_environment(variable, reader->error);
    if (text == NULL)
        config_fail_with_error(reader);
    return text;
}

static bool read_properties(struct config_reader *reader, json_t *value, void *target)
{
    struct source_config *source = target;
    if (!json_is_object(value))
        return config_fail(reader, "expected an object, such as {\"security.protocol\": \"SSL\"}, not %s",
                           config_type_name(value));
    source->properties = MEM_ARRAY(json_object_size(value), struct source_property);
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        char *text =
            json_is_object(member) ? read_secret(reader, member) : config_read_scalar(reader, member);
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
    const char *pattern = config_read_value_text(reader, value, "orders-.*");
    if (pattern == NULL)
        return false;
    return name_filter_add(filter, side, pattern, reader->error) || config_fail_with_error(reader);
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
    return config_read_list(reader, value, read_include_pattern, filter);
}

static bool read_exclude(struct config_reader *reader, json_t *value, void *filter)
{
    return config_read_list(reader, value, read_exclude_pattern, filter);
}

static const struct config_key filter_keys[] = {
    {"include", read_include, CONFIG_PATTERNS, NULL, "Names that are wanted; all, if this is left out."},
    {"exclude", read_exclude, CONFIG_PATTERNS, NULL, "Names that are not, though they are included."},
    CONFIG_LAST_KEY,
};

static bool read_topics(struct config_reader *reader, json_t *value, void *source)
{
    return config_read_object(reader, value, filter_keys, &((struct source_config *)source)->topics);
}

static bool read_groups(struct config_reader *reader, json_t *value, void *source)
{
    return config_read_object(reader, value, filter_keys, &((struct source_config *)source)->groups);
}

static bool read_source_granularity(struct config_reader *reader, json_t *value, void *source)
{
    const char *text = config_read_value_text(reader, value, "topic");
    if (text == NULL)
        return false;
    return granularity_parse(text, &((struct source_config *)source)->granularity, reader->error) ||
           config_fail_with_error(reader);
}

static bool read_source_offsets(struct config_reader *reader, json_t *value, void *source)
{
    static const char *const names[] = {
        [OFFSETS_AUTO] = "auto", [OFFSETS_ADMIN] = "admin", [OFFSETS_TOPIC] = "topic"};
    const char *text = config_read_value_text(reader, value, "auto");
    if (text == NULL)
        return false;
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            ((struct source_config *)source)->offsets = (enum offsets_from)i;
            return true;
        }
    }
    return config_fail(reader, "\"%s\" is no way to learn offsets; it takes auto, admin or topic", text);
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
    {"offsets", read_source_offsets, CONFIG_OFFSETS, NULL,
     "How the commits of a Kafka cluster are learnt: from the topic __consumer_offsets where it may be read, "
     "else by asking each group (auto); by asking (admin); or from the topic, where it is counted as a "
     "failure "
     "if that may not be read (topic)."},
    {"poll_interval", read_source_interval, CONFIG_DURATION, NULL, "How often this source is polled."},
    {"granularity", read_source_granularity, CONFIG_GRANULARITY, NULL,
     "How finely the series of this source tell partitions and topics apart."},
    {"timeout", read_source_timeout, CONFIG_DURATION, NULL, "For each request to this source."},
    CONFIG_LAST_KEY,
};

static bool read_source(struct config_reader *reader, json_t *value, void *config)
{
    struct source_config *source = config_add_source(config, "", "", "");
    source->written = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    if (!config_read_object(reader, value, source_keys, source))
        return false;
    if (source->kind[0] == '\0')
        return config_fail(reader,
                           "a source needs \"kafka\" (its bootstrap servers) or \"logstore\" (its folder)");
    if (source->name[0] == '\0')
        return config_fail(reader, "a source needs a \"name\": it becomes the label of its series");
    return true;
}

/* --- the file ------------------------------------------------------------------------------------------ */

static bool read_sources(struct config_reader *reader, json_t *value, void *target)
{
    return config_read_list(reader, value, read_source, target);
}

/* Where the rules under way go. */
struct rules_target {
    struct rules *rules;
    rule_set *set;
};

static bool read_some_rules(struct config_reader *reader, json_t *value, const struct rules_target *target)
{
    if (!json_is_object(value))
        return config_fail(reader, "expected an object, such as {\"objective\": \"5m\"}, not %s",
                           config_type_name(value));
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        char *text = config_read_scalar(reader, member);
        bool done = text != NULL && (rules_set_some(target->rules, target->set, name, text, reader->error) ||
                                     config_fail_with_error(reader));
        free(text);
        if (!done)
            return false;
        reader->path.length = length;
    }
    return true;
}

static bool read_rules(struct config_reader *reader, json_t *value, void *target)
{
    rule_set set = 0;
    return read_some_rules(reader, value, &(struct rules_target){&((struct config *)target)->rules, &set});
}

/* --- other rules for some ------------------------------------------------------------------------------ */

static bool read_override_clusters(struct config_reader *reader, json_t *value, void *override)
{
    return read_include_pattern(reader, value, &((struct override *) override)->clusters);
}

static bool read_override_groups(struct config_reader *reader, json_t *value, void *override)
{
    return read_include_pattern(reader, value, &((struct override *) override)->groups);
}

static bool read_override_topics(struct config_reader *reader, json_t *value, void *override)
{
    return read_include_pattern(reader, value, &((struct override *) override)->topics);
}

static bool read_override_rules(struct config_reader *reader, json_t *value, void *target)
{
    struct override *override = target;
    return read_some_rules(reader, value, &(struct rules_target){&override->rules, &override->set});
}

static const struct config_key override_keys[] = {
    {"clusters", read_override_clusters, CONFIG_TEXT, NULL, "Pattern of names of sources. Default: all."},
    {"groups", read_override_groups, CONFIG_TEXT, NULL, "Pattern of names of groups. Default: all."},
    {"topics", read_override_topics, CONFIG_TEXT, NULL, "Pattern of names of topics. Default: all."},
    {"rules", read_override_rules, CONFIG_RULES, NULL, "What differs for them."},
    CONFIG_LAST_KEY,
};

/* Refuses names that one of the override's rules can't differ by: it would have no effect. */
static bool refuse_names(struct config_reader *reader, const struct override *override,
                         const struct name_filter *names, const char *key, enum rule_scope scope,
                         const char *owner)
{
    const char *rule = rules_find_scope(override->set, scope);
    if (names->include.count == 0 || rule == NULL)
        return true;
    config_path_enter_key(&reader->path, key);
    return config_fail(
        reader,
        "rule \"%s\" belongs to a %s and can't differ by %s; leave \"%s\" out, or set the rule "
        "in another override",
        rule, owner, key, key);
}

static bool read_override(struct config_reader *reader, json_t *value, void *target)
{
    struct config *config = target;
    struct override *override = overrides_add(&config->overrides);
    if (!config_read_object(reader, value, override_keys, override))
        return false;
    if (override->set == 0)
        return config_fail(reader, "an override changes nothing without \"rules\"; add some, such as "
                                   "{\"objective\": \"1h\"}");
    return refuse_names(reader, override, &override->topics, "topics", RULE_OF_GROUP, "group") &&
           refuse_names(reader, override, &override->groups, "groups", RULE_OF_TOPIC, "topic");
}

static bool read_overrides(struct config_reader *reader, json_t *value, void *target)
{
    return config_read_list(reader, value, read_override, target);
}

/* A text for each setting that is one. */
static const struct example {
    const char *key, *text;
} examples[] = {
    {"listen", "127.0.0.1:9308"},
    {"poll_interval", "15s"},
    {"timeout", "10s"},
    {"log_format", "json"},
    {"log_level", "info"},
    {"cluster_label", "cluster"},
    {"granularity", "topic"},
    {"state_dir", "/var/lib/tidemark"},
    {"record", "/var/lib/tidemark/observations.jsonl"},
};

static const char *example_of(const char *key)
{
    size_t i = 0;
    while (i + 1 < sizeof examples / sizeof *examples && strcmp(examples[i].key, key) != 0)
        i++;
    return examples[i].text;
}

/* A setting of the whole daemon: its key is the path. */
static bool read_setting(struct config_reader *reader, json_t *value, void *config)
{
    char *key = mem_copy_str(buf_str(&reader->path));
    const char *text = config_read_value_text(reader, value, example_of(key));
    bool done =
        text != NULL && (config_set(config, key, text, reader->error) || config_fail_with_error(reader));
    free(key);
    return done;
}

static bool read_metrics(struct config_reader *reader, json_t *value, void *config)
{
    return config_read_object(reader, value, filter_keys, &((struct config *)config)->metrics);
}

static bool read_max_series(struct config_reader *reader, json_t *value, void *config)
{
    char *text = config_read_scalar(reader, value);
    bool done = text != NULL &&
                (config_set(config, "max_series", text, reader->error) || config_fail_with_error(reader));
    free(text);
    return done;
}

const struct config_key config_file_keys[] = {
    {"listen", read_setting, CONFIG_TEXT, NULL, "Where to serve: ADDRESS:PORT. Default: :9308."},
    {"poll_interval", read_setting, CONFIG_DURATION, NULL, "How often sources are polled. Default: 15s."},
    {"timeout", read_setting, CONFIG_DURATION, NULL, "For each request to a source. Default: 10s."},
    {"log_format", read_setting, CONFIG_LOG_FORMAT, NULL, "Default: logfmt."},
    {"log_level", read_setting, CONFIG_LOG_LEVEL, NULL,
     "The least grave messages that are logged. Default: info."},
    {"cluster_label", read_setting, CONFIG_LABEL, NULL, "Name of the label `cluster`."},
    {"state_dir", read_setting, CONFIG_TEXT, NULL,
     "Folder that keeps the past, so that a restart forgets nothing."},
    {"record", read_setting, CONFIG_TEXT, NULL,
     "File that what is observed is appended to, for `tidemark replay`."},
    {"granularity", read_setting, CONFIG_GRANULARITY, NULL,
     "How finely series tell subjects apart: partition (the default), topic or group."},
    {"metrics", read_metrics, CONFIG_OBJECT, filter_keys, "Which families of metrics are on the page."},
    {"max_series", read_max_series, CONFIG_COUNT, NULL,
     "The most series on a page; the gravest groups stay. Default: 0, no limit."},
    {"rules", read_rules, CONFIG_RULES, NULL, "Numbers that the conditions depend on."},
    {"overrides", read_overrides, CONFIG_OBJECTS, override_keys,
     "Other rules for some clusters, groups or topics; the last that fits wins."},
    {"sources", read_sources, CONFIG_SOURCES, source_keys, "What is watched."},
    CONFIG_LAST_KEY,
};

bool config_read_text(struct config *config, const char *name, const char *text, size_t length,
                      struct error *error)
{
    return config_read_whole_text(name, text, length, config_file_keys, config, error);
}

bool config_read_file(struct config *config, const char *path, struct error *error)
{
    return config_read_whole_file(path, config_file_keys, config, error);
}
