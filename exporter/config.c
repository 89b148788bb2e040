#include "exporter/config.h"

#include "exporter/base/duration.h"
#include "exporter/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_PORT = 9308, /* where users of kafka_exporter scrape already */
    DEFAULT_POLL_INTERVAL_MS = 15000,
    DEFAULT_TIMEOUT_MS = 10000,
    SHORTEST_POLL_INTERVAL_MS = 100,
    SHORTEST_TIMEOUT_MS = 10,
};

struct config config_default(void)
{
    return (struct config){
        .host = mem_copy_text(""),
        .port = DEFAULT_PORT,
        .cluster_label = mem_copy_text("cluster"),
        .state_dir = mem_copy_text(""),
        .record = mem_copy_text(""),
        .poll_interval_ms = DEFAULT_POLL_INTERVAL_MS,
        .timeout_ms = DEFAULT_TIMEOUT_MS,
        .rules = rules_default(),
    };
}

static void free_source(struct source_config *source)
{
    free(source->name);
    free(source->kind);
    free(source->address);
    free(source->written);
    for (size_t i = 0; i < source->property_count; i++) {
        free(source->properties[i].name);
        free(source->properties[i].value);
    }
    free(source->properties);
    name_filter_free(&source->topics);
    name_filter_free(&source->groups);
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->source_count; i++)
        free_source(&config->sources[i]);
    free(config->sources);
    name_filter_free(&config->metrics);
    overrides_free(&config->overrides);
    free(config->host);
    free(config->cluster_label);
    free(config->web_config_file);
    free(config->state_dir);
    free(config->record);
    *config = (struct config){0};
}

static void replace_text(char **text, struct str with)
{
    free(*text);
    *text = mem_copy_str(with);
}

/* --- settings that are a text -------------------------------------------------------------------------- */

/* 0 to 65535 in digits; -1 for anything else. */
static int parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return -1;
    long port = strtol(text, NULL, 10);
    return port <= UINT16_MAX ? (int)port : -1;
}

static bool set_listen(struct config *config, const char *text, struct error *error)
{
    const char *colon = strrchr(text, ':');
    int port = colon == NULL ? -1 : parse_port(colon + 1);
    if (port < 0) {
        error_set(error, ERROR_USAGE,
                  "\"%s\" has no port from 0 to 65535; write ADDRESS:PORT, such as 127.0.0.1:9308 or :9308",
                  text);
        return false;
    }
    struct str host = {text, (size_t)(colon - text)};
    if (host.length >= 2 && host.bytes[0] == '[' && host.bytes[host.length - 1] == ']')
        host = (struct str){host.bytes + 1, host.length - 2};
    else if (host.length > 0 && memchr(host.bytes, ':', host.length) != NULL) {
        error_set(error, ERROR_USAGE, "\"%s\": write an IPv6 address in brackets, such as [::1]:9308", text);
        return false;
    }
    replace_text(&config->host, host);
    config->port = (uint16_t)port;
    return true;
}

static bool set_poll_interval(struct config *config, const char *text, struct error *error)
{
    return duration_parse(text, &config->poll_interval_ms, error);
}

static bool set_timeout(struct config *config, const char *text, struct error *error)
{
    return duration_parse(text, &config->timeout_ms, error);
}

static bool set_log_format(struct config *config, const char *text, struct error *error)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "logfmt") != 0) {
        error_set(error, ERROR_USAGE, "\"%s\" is no log format; it takes logfmt or json", text);
        return false;
    }
    config->log_format = json ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT;
    return true;
}

static bool set_log_level(struct config *config, const char *text, struct error *error)
{
    static const char *const names[] = {
        [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_ERROR] = "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            config->log_level = (enum log_level)i;
            return true;
        }
    }
    error_set(error, ERROR_USAGE, "\"%s\" is no log level; it takes info, warn or error", text);
    return false;
}

/* https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels */
static bool is_label_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return length > 0 && text[length] == '\0' && !isdigit((unsigned char)*text) &&
           strncmp(text, "__", 2) != 0;
}

static bool is_label_in_use(const char *text)
{
    static const char *const others[] = {
        "consumergroup", "topic",   "partition", "state",      "condition",
        "stage",         "kind",    "offsets",   "rebalances", "id",
        "address",       "version", "job",       "instance",   "cleanup_policy",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i], text) == 0)
            return true;
    return false;
}

static bool set_cluster_label(struct config *config, const char *text, struct error *error)
{
    if (!is_label_name(text) || is_label_in_use(text)) {
        error_set(
            error, ERROR_USAGE,
            "\"%s\" can't name the label; write letters, digits and underscores, none of the other labels",
            text);
        return false;
    }
    replace_text(&config->cluster_label, str_of(text));
    return true;
}

static bool set_state_dir(struct config *config, const char *text, struct error *error)
{
    (void)error; /* whether it can be had is seen when it is opened */
    replace_text(&config->state_dir, str_of(text));
    return true;
}

static bool set_record(struct config *config, const char *text, struct error *error)
{
    (void)error;
    replace_text(&config->record, str_of(text));
    return true;
}

bool granularity_parse(const char *text, enum granularity *granularity, struct error *error)
{
    static const char *const names[] = {"partition", "topic", "group"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            *granularity = (enum granularity)i;
            return true;
        }
    }
    error_set(error, ERROR_USAGE, "\"%s\" is no granularity; it takes partition, topic or group", text);
    return false;
}

static bool set_granularity(struct config *config, const char *text, struct error *error)
{
    return granularity_parse(text, &config->granularity, error);
}

static bool set_max_series(struct config *config, const char *text, struct error *error)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12 || text[digits] != '\0') {
        error_set(error, ERROR_USAGE, "\"%s\" is no number of series; write 100000, or 0 for no limit", text);
        return false;
    }
    config->max_series = strtoll(text, NULL, 10);
    return true;
}

bool config_set(struct config *config, const char *key, const char *text, struct error *error)
{
    static const struct setting {
        const char *key;
        bool (*set)(struct config *config, const char *text, struct error *error);
    } settings[] = {
        {"listen", set_listen},           {"poll_interval", set_poll_interval},
        {"timeout", set_timeout},         {"log_format", set_log_format},
        {"log_level", set_log_level},     {"cluster_label", set_cluster_label},
        {"granularity", set_granularity}, {"max_series", set_max_series},
        {"state_dir", set_state_dir},     {"record", set_record},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(settings[i].key, key) == 0)
            return settings[i].set(config, text, error);
    error_set(error, ERROR_NOT_FOUND, "there is no setting \"%s\"", key);
    return false;
}

/* --- sources ------------------------------------------------------------------------------------------- */

struct source_config *config_add_source(struct config *config, const char *kind, const char *name,
                                        const char *address)
{
    size_t capacity = config->source_count;
    config->sources = mem_grow(config->sources, &capacity, config->source_count + 1, sizeof *config->sources);
    struct source_config *source = &config->sources[config->source_count++];
    *source = (struct source_config){
        .granularity = GRANULARITY_UNSET,
        .name = mem_copy_text(name),
        .kind = mem_copy_text(kind),
        .address = mem_copy_text(address),
    };
    return source;
}

static bool properties_equal(const struct source_config *a, const struct source_config *b)
{
    bool equal = a->property_count == b->property_count;
    for (size_t i = 0; i < a->property_count && equal; i++)
        equal = strcmp(a->properties[i].name, b->properties[i].name) == 0 &&
                strcmp(a->properties[i].value, b->properties[i].value) == 0;
    return equal;
}

bool source_config_equal(const struct source_config *a, const struct source_config *b)
{
    const char *written_a = a->written != NULL ? a->written : "";
    const char *written_b = b->written != NULL ? b->written : "";
    return strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0 &&
           strcmp(a->address, b->address) == 0 && a->poll_interval_ms == b->poll_interval_ms &&
           a->timeout_ms == b->timeout_ms && a->granularity == b->granularity && a->offsets == b->offsets &&
           strcmp(written_a, written_b) == 0 &&
           properties_equal(a, b); /* a secret may come from another file */
}

/* [NAME=]ADDRESS. A name has no "/", ":" or ",", so that paths and addresses with "=" in them keep it. */
static bool add_source_flag(struct config *config, const char *kind, const char *value, struct error *error)
{
    size_t length = strcspn(value, "=/:,");
    bool named = length > 0 && value[length] == '=';
    const char *address = named ? value + length + 1 : value;
    if (*address == '\0') {
        error_set(error, ERROR_USAGE, "the address is empty; write --%s [NAME=]%s", kind,
                  strcmp(kind, "kafka") == 0 ? "HOST:PORT" : "DIR");
        return false;
    }
    char *name = named ? mem_copy_str((struct str){value, length}) : mem_copy_text("default");
    config_add_source(config, kind, name, address);
    free(name);
    return true;
}

/* --- flags --------------------------------------------------------------------------------------------- */

static bool set_rule_flag(struct config *config, const char *value, struct error *error)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL) {
        error_set(error, ERROR_USAGE,
                  "\"%s\" sets nothing; write --rule NAME=VALUE, such as --rule objective=5m", value);
        return false;
    }
    char *name = mem_copy_str((struct str){value, (size_t)(equals - value)});
    bool done = rules_set(&config->rules, name, equals + 1, error);
    free(name);
    return done;
}

static bool set_by_key(struct config *config, const char *flag, const char *value, struct error *error)
{
    char *key = mem_copy_text(flag);
    for (char *dash = strchr(key, '-'); dash != NULL; dash = strchr(dash, '-'))
        *dash = '_';
    bool done = strchr(flag, '_') == NULL && config_set(config, key, value, error);
    if (!done && error->code == ERROR_NONE)
        error_set(error, ERROR_NOT_FOUND, "there is no such flag");
    free(key);
    return done;
}

static bool set_web_config_file(struct config *config, const char *value, struct error *error)
{
    if (*value == '\0') {
        error_set(error, ERROR_USAGE, "the name of the file is empty");
        return false;
    }
    replace_text(&config->web_config_file, str_of(value));
    return true;
}

bool config_set_flag(struct config *config, const char *flag, const char *value, struct error *error)
{
    if (strcmp(flag, "config") == 0)
        return config_read_file(config, value, error);
    bool done = false;
    if (strcmp(flag, "kafka") == 0 || strcmp(flag, "logstore") == 0)
        done = add_source_flag(config, flag, value, error);
    else if (strcmp(flag, "metrics-include") == 0)
        done = name_filter_add(&config->metrics, FILTER_INCLUDE, value, error);
    else if (strcmp(flag, "metrics-exclude") == 0)
        done = name_filter_add(&config->metrics, FILTER_EXCLUDE, value, error);
    else if (strcmp(flag, "rule") == 0)
        done = set_rule_flag(config, value, error);
    else if (strcmp(flag, "web.config.file") == 0)
        done = set_web_config_file(config, value, error);
    else
        done = set_by_key(config, flag, value, error);
    if (!done)
        error_wrap(error, "--%s", flag);
    return done;
}

/* --- the whole ----------------------------------------------------------------------------------------- */

static bool check_times(const char *what, int64_t poll_interval_ms, int64_t timeout_ms, struct error *error)
{
    if (poll_interval_ms < SHORTEST_POLL_INTERVAL_MS) {
        error_set(error, ERROR_USAGE,
                  "%s: poll_interval (--poll-interval) is too short; the shortest is %dms", what,
                  SHORTEST_POLL_INTERVAL_MS);
        return false;
    }
    if (timeout_ms < SHORTEST_TIMEOUT_MS) {
        error_set(error, ERROR_USAGE, "%s: timeout (--timeout) is too short; the shortest is %dms", what,
                  SHORTEST_TIMEOUT_MS);
        return false;
    }
    return true;
}

static bool complete_source(const struct config *config, struct source_config *source, struct error *error)
{
    if (source->poll_interval_ms == 0)
        source->poll_interval_ms = config->poll_interval_ms;
    if (source->granularity == GRANULARITY_UNSET)
        source->granularity = config->granularity;
    if (source->timeout_ms == 0)
        source->timeout_ms = config->timeout_ms;
    for (const struct source_config *other = config->sources; other < source; other++) {
        if (strcmp(other->name, source->name) == 0) {
            error_set(error, ERROR_USAGE,
                      "sources[%zu] and sources[%zu] are both named \"%s\"; give each a name of its own "
                      "(\"name\", or --kafka NAME=HOST:PORT)",
                      (size_t)(other - config->sources), (size_t)(source - config->sources), source->name);
            return false;
        }
    }
    return check_times(source->name, source->poll_interval_ms, source->timeout_ms, error);
}

bool config_complete(struct config *config, struct error *error)
{
    if (config->source_count == 0) {
        error_set(error, ERROR_USAGE,
                  "nothing to watch; give --kafka HOST:PORT, --logstore DIR or --config FILE with sources");
        return false;
    }
    if (!check_times("settings", config->poll_interval_ms, config->timeout_ms, error))
        return false;
    for (size_t i = 0; i < config->source_count; i++)
        if (!complete_source(config, &config->sources[i], error))
            return false;
    return true;
}
