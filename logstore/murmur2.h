#ifndef LOGSTORE_MURMUR2_H
#define LOGSTORE_MURMUR2_H

#include <stddef.h>
#include <stdint.h>

/* MurmurHash2 (Austin Appleby) with the seed that Kafka's Java client uses for keys
 * (org.apache.kafka.common.utils.Utils.murmur2). */
uint32_t murmur2(const void *bytes, size_t count);

#endif
