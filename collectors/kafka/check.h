#ifndef TIDEMARK_KAFKA_CHECK_H
#define TIDEMARK_KAFKA_CHECK_H

#include "collectors/collector.h"
#include "collectors/kafka/poll.h"

/* What stands between Tidemark and a cluster, from the outside in: the names of the servers, what listens
 * there, the encryption, the password, the permissions. Implements collector_kind.check. */
void kafka_check(const struct source_config *config, struct check_list *list);

/* One poll by a collector of its own; in kafka.c. The failures of its items are added to `failures`. Like
 * collector_kind.poll otherwise. */
struct snapshot *kafka_poll_once(const struct source_config *config, struct poll_report *report,
                                 struct kafka_failures *failures, struct error *error);

#endif
