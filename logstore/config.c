#include "logstore/config.h"

#include "exporter/base/str.h"

#include <errno.h>
#include <stdlib.h>

/* Each value once: name, place, default and range. */
struct setting {
    const char *name;
    size_t place;
    int64_t fallback, least, most;
};

#define SETTING(name, member, ...)                                                                           \
    {                                                                                                        \
        name, offsetof(struct logstore_config, member), __VA_ARGS__                                          \
    }

static const struct setting SETTINGS[] = {
    SETTING("retention.ms", retention_ms, 604800000, -1, INT64_MAX),
    SETTING("retention.bytes", retention_bytes, -1, -1, INT64_MAX),
    SETTING("segment.ms", segment_ms, 604800000, 1, INT64_MAX),
    SETTING("segment.bytes", segment_bytes, 1073741824, 1024, INT32_MAX),
    SETTING("min.compaction.lag.ms", min_compaction_lag_ms, 0, 0, INT64_MAX),
    SETTING("delete.retention.ms", delete_retention_ms, 86400000, 0, INT64_MAX),
    SETTING("max.message.bytes", max_message_bytes, 1048588, 1024, 268435456),
};

enum { SETTING_COUNT = sizeof SETTINGS / sizeof SETTINGS[0] };

static const char CLEANUP_POLICY[] = "cleanup.policy";

static int64_t *value_of(struct logstore_config *config, const struct setting *setting)
{
    return (int64_t *)(void *)((char *)config + setting->place);
}

struct logstore_config logstore_config_default(void)
{
    struct logstore_config config = {.cleanup_policy = LOGSTORE_CLEANUP_DELETE};
    for (size_t i = 0; i < SETTING_COUNT; i++)
        *value_of(&config, &SETTINGS[i]) = SETTINGS[i].fallback;
    return config;
}

const char *logstore_config_name(size_t index)
{
    if (index < SETTING_COUNT)
        return SETTINGS[index].name;
    return index == SETTING_COUNT ? CLEANUP_POLICY : NULL;
}

static bool check_range(const struct setting *setting, int64_t value, struct error *error)
{
    if (value >= setting->least && value <= setting->most)
        return true;
    error_set(error, ERROR_USAGE, "%s must be from %lld to %lld, not %lld", setting->name,
              (long long)setting->least, (long long)setting->most, (long long)value);
    return false;
}

static bool parse_number(struct str text, int64_t *number)
{
    char digits[24];
    if (text.length == 0 || text.length >= sizeof digits || memchr(text.bytes, 0, text.length) != NULL)
        return false;
    memcpy(digits, text.bytes, text.length);
    digits[text.length] = '\0';
    if (strspn(digits, "-0123456789") != text.length)
        return false;
    char *end;
    errno = 0;
    *number = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0' && end != digits;
}

static bool set_cleanup(struct logstore_config *config, struct str value, struct error *error)
{
    static const struct {
        const char *text;
        unsigned policy;
    } POLICIES[] = {
        {"delete", LOGSTORE_CLEANUP_DELETE},
        {"compact", LOGSTORE_CLEANUP_COMPACT},
        {"compact,delete", LOGSTORE_CLEANUP_DELETE | LOGSTORE_CLEANUP_COMPACT},
        {"delete,compact", LOGSTORE_CLEANUP_DELETE | LOGSTORE_CLEANUP_COMPACT},
    };
    for (size_t i = 0; i < sizeof POLICIES / sizeof POLICIES[0]; i++)
        if (str_equal(value, str_of(POLICIES[i].text))) {
            config->cleanup_policy = POLICIES[i].policy;
            return true;
        }
    error_set(error, ERROR_USAGE, "%s must be delete, compact, or compact,delete", CLEANUP_POLICY);
    return false;
}

bool logstore_config_set(struct logstore_config *config, struct str name, struct str value,
                         struct error *error)
{
    if (str_equal(name, str_of(CLEANUP_POLICY)))
        return set_cleanup(config, value, error);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        int64_t number;
        if (!str_equal(name, str_of(SETTINGS[i].name)))
            continue;
        if (!parse_number(value, &number)) {
            error_set(error, ERROR_USAGE, "%s must be a whole number", SETTINGS[i].name);
            return false;
        }
        if (!check_range(&SETTINGS[i], number, error))
            return false;
        *value_of(config, &SETTINGS[i]) = number;
        return true;
    }
    error_set(error, ERROR_USAGE, "a topic has no setting %.*s", (int)(name.length < 80 ? name.length : 80),
              name.bytes);
    return false;
}

bool topic_config_check(const struct logstore_config *config, struct error *error)
{
    struct logstore_config copy = *config;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (!check_range(&SETTINGS[i], *value_of(&copy, &SETTINGS[i]), error))
            return false;
    const unsigned both = LOGSTORE_CLEANUP_DELETE | LOGSTORE_CLEANUP_COMPACT;
    if (config->cleanup_policy == 0 || (config->cleanup_policy & ~both) != 0) {
        error_set(error, ERROR_USAGE, "%s must be delete, compact, or both", CLEANUP_POLICY);
        return false;
    }
    return true;
}
