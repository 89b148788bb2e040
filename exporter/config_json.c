#include "exporter/config_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Of librdkafka's properties, those that tell nothing that a stranger may not know. Whatever is not in here
 * is taken for a secret: there are new ones with each version. */
static bool is_harmless(const char *property)
{
    static const char *const names[] = {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.kerberos.service.name",
        "sasl.kerberos.keytab",
        "ssl.endpoint.identification.algorithm",
        "client.id",
        "enable.ssl.certificate.verification",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.keystore.location",
        "broker.address.family",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], property) == 0)
            return true;
    size_t length = strlen(property);
    return length > 3 && strcmp(property + length - 3, ".ms") == 0;
}

static void hide_secrets(json_t *properties)
{
    const char *name;
    void *next;
    json_t *value;
    json_object_foreach_safe(properties, next, name, value)
    {
        /* An object tells where the value is to be found. */
        if (!json_is_object(value) && !is_harmless(name))
            json_object_set_new(properties, name, json_string("<secret>"));
    }
}

static json_t *duration(int64_t ms)
{
    return ms % 1000 == 0 ? json_sprintf("%llds", (long long)ms / 1000)
                          : json_sprintf("%lldms", (long long)ms);
}

static const char *granularity_name(enum granularity granularity)
{
    static const char *const names[] = {"partition", "topic", "group"};
    return granularity < GRANULARITY_UNSET ? names[granularity] : "";
}

/* As the file has it, or as a flag would stand in a file. */
static json_t *describe_source(const struct source_config *source)
{
    json_t *object = source->written != NULL ? json_loads(source->written, 0, NULL) : NULL;
    if (object == NULL) {
        object = json_object();
        json_object_set_new(object, "name", json_string(source->name));
        json_object_set_new(object, source->kind, json_string(source->address));
    }
    hide_secrets(json_object_get(object, "properties"));
    json_object_set_new(object, "poll_interval", duration(source->poll_interval_ms));
    json_object_set_new(object, "timeout", duration(source->timeout_ms));
    json_object_set_new(object, "granularity", json_string(granularity_name(source->granularity)));
    return object;
}

static json_t *describe_rules(const struct rules *rules)
{
    json_t *object = json_object();
#define ADD_DURATION(name, value, scope, meaning)                                                            \
    json_object_set_new(object, #name, duration(rules->name##_ms));
#define ADD_SHARE(name, value, scope, meaning) json_object_set_new(object, #name, json_real(rules->name));
#define ADD_COUNT(name, value, scope, meaning) json_object_set_new(object, #name, json_integer(rules->name));
    RULE_TABLE(ADD_DURATION, ADD_SHARE, ADD_COUNT)
    return object;
}

static json_t *describe(const struct config *config)
{
    json_t *object = json_object();
    bool v6 = strchr(config->host, ':') != NULL;
    json_object_set_new(
        object, "listen",
        json_sprintf("%s%s%s:%u", v6 ? "[" : "", config->host, v6 ? "]" : "", (unsigned)config->port));
    json_object_set_new(object, "poll_interval", duration(config->poll_interval_ms));
    json_object_set_new(object, "timeout", duration(config->timeout_ms));
    json_object_set_new(object, "cluster_label", json_string(config->cluster_label));
    json_object_set_new(object, "granularity", json_string(granularity_name(config->granularity)));
    json_object_set_new(object, "max_series", json_integer(config->max_series));
    json_object_set_new(object, "rules", describe_rules(&config->rules));
    json_t *sources = json_array();
    for (size_t i = 0; i < config->source_count; i++)
        json_array_append_new(sources, describe_source(&config->sources[i]));
    json_object_set_new(object, "sources", sources);
    return object;
}

void config_json_add(struct buf *out, const struct config *config)
{
    json_t *object = describe(config);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    buf_add_text(out, text != NULL ? text : "{}");
    buf_add_char(out, '\n');
    free(text);
}
