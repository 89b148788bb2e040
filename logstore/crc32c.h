#ifndef LOGSTORE_CRC32C_H
#define LOGSTORE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4) of `count` bytes, continuing from the CRC of the bytes before
 * them; 0 to begin. Uses the instruction of SSE4.2 where the processor has it. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t count);

/* For measurements: pretends that the processor hasn't got the instruction. */
extern bool crc32c_by_tables_only;

/* The same by tables, on any processor. */
uint32_t crc32c_software(uint32_t crc, const void *bytes, size_t count);

#endif
