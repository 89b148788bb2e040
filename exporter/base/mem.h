#ifndef TIDEMARK_BASE_MEM_H
#define TIDEMARK_BASE_MEM_H

#include "exporter/base/str.h"

#include <stddef.h>

/*
 * Memory of the daemon. A monitor that has no memory for its next poll can say nothing true any more, so
 * these end the process with a message instead of returning NULL; the supervisor starts it again. The library
 * logstore, which lives in other people's programs, does not use them.
 */

/* `count` zeroed elements of `size` bytes; free() them. Never NULL, also when the product is 0. */
void *mem_array(size_t count, size_t size);

/* Makes room for `needed` elements of `size` bytes in an array that is grown by doubling: returns the array,
 * moved or not, and updates `*capacity`. New elements are not cleared. `array` may be NULL with capacity 0.
 */
void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size);

/* NUL-terminated copies; free() them. */
char *mem_copy_text(const char *text);
char *mem_copy_str(struct str text);

#define MEM_NEW(type)          ((type *)mem_array(1, sizeof(type)))
#define MEM_ARRAY(count, type) ((type *)mem_array((count), sizeof(type)))

#endif
