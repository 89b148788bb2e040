#ifndef TIDEMARK_DEMO_H
#define TIDEMARK_DEMO_H

#include "exporter/base/error.h"

/*
 * A log store in a temporary folder, and processes that write to it and read from it as the stories go that
 * Tidemark exists to tell. They end with the process that started them, however that ends.
 */
struct demo;

/* Makes the store and starts the processes, by fork(): to be called before there are threads. NULL: it could
 * not be had; nothing is left then. */
struct demo *demo_start(struct error *error);

/* The store's folder; valid until demo_stop(). */
const char *demo_folder(const struct demo *demo);

/* The rules by which the stories show within a minute or two, as NAME=VALUE; ends with NULL. Static. */
const char *const *demo_rules(void);

/* Prints to standard output what is to be seen at the address, and what it means. */
void demo_print_guide(const struct demo *demo, const char *address);

/* Ends the processes, waits for them, removes the folder; sets *demo to NULL. NULL is accepted. */
void demo_stop(struct demo **demo);

#endif
