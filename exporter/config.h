#ifndef TIDEMARK_CONFIG_H
#define TIDEMARK_CONFIG_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/base/log.h"
#include "exporter/overrides.h"
#include "exporter/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the daemon is told to do, by a file (JSON or YAML) and by flags. Start with config_default(), end with
 * config_free(). Errors are ERROR_USAGE: one line that names the place and the remedy. One thread. */
struct config {
    char *host;          /* owned; address to listen on, "" for all */
    uint16_t port;       /* 0: one that is free */
    char *cluster_label; /* owned; name of the label `cluster` */
    char *state_dir;     /* owned; folder that keeps the past of the sources; "": none does */
    char *record;        /* owned; file that observations are appended to; "": none */
    enum log_format log_format;
    enum log_level log_level;
    char *web_config_file;        /* owned; NULL: no TLS, no passwords */
    bool lifecycle;               /* POST /-/reload is answered */
    struct name_filter metrics;   /* the families that are shown */
    int64_t max_series;           /* on a page; 0: no limit */
    enum granularity granularity; /* of sources that don't say otherwise */
    int64_t poll_interval_ms;     /* likewise */
    int64_t timeout_ms;           /* likewise */
    struct source_config *sources;
    size_t source_count;
    struct rules rules;
    struct overrides overrides; /* other rules for some */
};

/* The defaults, without a source. */
struct config config_default(void);

void config_free(struct config *config);

/* Takes in a file: YAML if its name ends in .yaml or .yml, else JSON. */
bool config_read_file(struct config *config, const char *path, struct error *error);

/* The same for a text in memory; `name` stands for the file, in errors too. */
bool config_read_text(struct config *config, const char *name, const char *text, size_t length,
                      struct error *error);

/* Takes in a setting of the whole daemon that is a text: "listen", "poll_interval", "timeout", "log_format",
 * "log_level", "cluster_label", "granularity", "max_series", "state_dir" or "record". ERROR_NOT_FOUND when
 * `key` is none of them. */
bool config_set(struct config *config, const char *key, const char *text, struct error *error);

/* "partition", "topic" or "group". */
bool granularity_parse(const char *text, enum granularity *granularity, struct error *error);

/* Adds a source of the kind "kafka" or "logstore". The result is valid until the next is added. */
struct source_config *config_add_source(struct config *config, const char *kind, const char *name,
                                        const char *address);

/* Whether two sources of complete configurations are polled alike. */
bool source_config_equal(const struct source_config *a, const struct source_config *b);

/* Takes in a flag, without its dashes, and its value: a setting of config_set() with dashes for underscores,
 * "kafka" or "logstore" with [NAME=]ADDRESS, "rule" with NAME=VALUE, "metrics-include" or "metrics-exclude"
 * with a pattern, or "config" with a file. Flags win over a file if they come after it. ERROR_NOT_FOUND when
 * there is no such flag. */
bool config_set_flag(struct config *config, const char *flag, const char *value, struct error *error);

/* Fills in what was left out and checks what only the whole can show: to be called at the end. */
bool config_complete(struct config *config, struct error *error);

#endif
