#include "exporter/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *or_die(void *memory)
{
    if (memory == NULL) {
        fputs("tidemark: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *mem_array(size_t count, size_t size)
{
    /* calloc() checks the product; an empty array still gets an address of its own. */
    return or_die(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity && array != NULL)
        return array;
    size_t larger = *capacity < 8 ? 8 : *capacity;
    while (larger < needed && larger <= SIZE_MAX / 2)
        larger *= 2;
    if (larger < needed)
        larger = needed;
    array = or_die(reallocarray(array, larger, size));
    *capacity = larger;
    return array;
}

char *mem_copy_text(const char *text)
{
    return or_die(strdup(text));
}

char *mem_copy_str(struct str text)
{
    char *copy = mem_array(text.length + 1, 1);
    if (text.length > 0)
        memcpy(copy, text.bytes, text.length);
    return copy;
}
