#ifndef TIDEMARK_POLL_REPORT_H
#define TIDEMARK_POLL_REPORT_H

#include "exporter/base/error.h"

#include <stdint.h>

/* The steps of a poll, for durations and errors: the values of the label `stage`. */
enum poll_stage {
    STAGE_CONNECT,
    STAGE_METADATA,
    STAGE_CONFIGS,
    STAGE_START_OFFSETS,
    STAGE_GROUPS,
    STAGE_COMMITS,
    STAGE_END_OFFSETS,
    STAGE_TIMESTAMPS,
    POLL_STAGES,
};

/* How a poll went, whether or not it succeeded. Starts all zero. */
struct poll_report {
    const char *offsets;              /* how commits are learnt; NULL: as before; static, as the next two */
    const char *rebalances;           /* "exact" or "sampled"; with `offsets` */
    const char *because;              /* why so, in words; with `offsets` */
    int64_t duration_us[POLL_STAGES]; /* 0: the stage was not reached */
    int64_t errors[POLL_STAGES];      /* failures in this poll: of the stage, or of single items in it */
    struct error first_error;         /* of those that cost only their item; cleared by the caller */
};

/* The name of a stage as in labels: "metadata", "start_offsets" … */
const char *poll_stage_name(enum poll_stage stage);

/* Counts a failure that costs only an item of the stage; keeps the first error's text, frees the others.
 * Takes over what `error` owns and leaves it cleared. */
void poll_report_item_failed(struct poll_report *report, enum poll_stage stage, struct error *error);

#endif
