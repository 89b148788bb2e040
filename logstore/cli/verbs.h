#ifndef LOGSTORE_CLI_VERBS_H
#define LOGSTORE_CLI_VERBS_H

#include "logstore/cli/arguments.h"
#include "logstore/logstore.h"

/* One word after `tidemark log`. */
struct verb {
    const char *name;
    const char *positional; /* as help shows it: "DIR TOPIC" */
    int least, most;        /* how many of them there must be */
    const char *summary;
    const char *example;
    const struct option *options; /* ended by one without a name; NULL: none */
    bool (*run)(const struct arguments *arguments, struct error *error);
};

/* Each of these files offers its verbs; the last has no name. */
extern const struct verb topic_verbs[], record_verbs[], group_verbs[];

/* After a read that failed with ERROR_NOT_FOUND: moves the reader to what retention has left, and clears the
 * error; *deleted says how many offsets were passed over. False, with the error: that isn't why, or the topic
 * is gone. */
bool verb_pass_deleted(struct logstore *store, struct str topic, uint32_t partition,
                       struct logstore_reader *reader, int64_t *deleted, struct error *error);

/* Opens the store of the first positional argument; NULL: failed. `fsync` is the option's value, NULL for the
 * default. */
struct logstore *verb_open(const struct arguments *arguments, enum logstore_access access,
                           struct error *error);

#endif
