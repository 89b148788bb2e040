#ifndef TIDEMARK_OBSERVATIONS_H
#define TIDEMARK_OBSERVATIONS_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"
#include "exporter/base/str.h"
#include "exporter/snapshot.h"

/*
 * Snapshots as lines of JSON (RFC 8259), one poll of one source a line, for recording and replaying:
 *
 *     {"t":1764000000.0,"cluster":"demo",
 *      "topics":[{"topic":"orders","config":{"retention.ms":86400000,"cleanup.policy":"delete"},
 *                 "partitions":[{"partition":0,"start":0,"end":1200,"start_ts":1763990000.0}]}],
 *      "groups":[{"group":"billing","state":"Stable","members":2,"generation":7,
 *                 "offsets":[{"topic":"orders","partition":0,"committed":1100,"next_ts":1763999980.0}]}]}
 *
 * Times are Unix seconds. What is missing is unknown, and unknown keys are ignored. Lines of our own may add
 * `offsets_retention_minutes` and `tells_no_record`; `no_record` and `undated` to an offset; `lso` to a
 * partition; `empty_since`, `idle_members`, `session_timeout_ms` and `rebalance_timeout_ms` to a group;
 * `commit_ts` to an offset; `id` to a topic (32 hexadecimal digits); `static_members` and `commits_unknown`
 * to a group.
 */

/* The sealed snapshot that the line tells of, owned by the caller; NULL with ERROR_CORRUPT that names the
 * place when the line tells none. `cluster` is emptied and gets the name of its source; NULL is accepted. */
struct snapshot *observation_parse(struct str line, struct buf *cluster, struct error *error);

/* Appends the sealed snapshot as one line, newline included. Names that are no UTF-8 are written as they are
 * shown elsewhere. */
void observation_write(struct buf *out, struct str cluster, const struct snapshot *snapshot);

#endif
