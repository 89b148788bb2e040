#ifndef TIDEMARK_REASON_H
#define TIDEMARK_REASON_H

#include "exporter/base/buf.h"
#include "exporter/findings.h"

/*
 * What was found, in plain words, with the numbers of the case: the same words on the page, in JSON, on the
 * command line and on the screen. Names are added as they are shown everywhere (utf8.h), not escaped for any
 * of these. Pure; any thread.
 */

/* What a sentence may speak of. */
struct reason {
    const struct snapshot *snapshot;
    const struct findings *findings; /* of the snapshot */
};

/* What is the matter, in a sentence or two. */
void reason_add_sentence(struct buf *out, const struct reason *reason, const struct finding *finding);

/* What to do next. */
void reason_add_advice(struct buf *out, const struct reason *reason, const struct finding *finding);

/* The condition's rule, in words; static. */
const char *reason_rule(enum condition condition);

/* "topic/3", "topic" or nothing: where it is. */
void reason_add_place(struct buf *out, const struct reason *reason, const struct finding *finding);

/* What happened; `topic` is that of the event. */
void reason_add_event(struct buf *out, const struct event *event, struct str topic);

/* An input of a rule as text: a time, a duration or a number. Nothing where it is unknown. */
void reason_add_input(struct buf *out, struct input input, int64_t value);

#endif
