#ifndef LOGSTORE_CLI_PROGRESS_H
#define LOGSTORE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* How far long work has got, for a person who looks on: a line on standard error that is drawn over again,
 * and only where that is a terminal and the work takes longer than half a second. One thread. */
struct progress {
    const char *noun; /* what is counted: "records"; static */
    int64_t total;    /* 0: not known */
    int64_t done;
    int64_t begun_us, drawn_us;
    bool is_watched, is_drawn;
};

/* Begins; nothing is drawn yet. */
struct progress progress_begin(const char *noun, int64_t total);

/* So much more has been done. Cheap enough to be called for each record. */
void progress_add(struct progress *progress, int64_t done);

/* Takes the line away. */
void progress_end(struct progress *progress);

#endif
