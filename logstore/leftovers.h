#ifndef LOGSTORE_LEFTOVERS_H
#define LOGSTORE_LEFTOVERS_H

#include "logstore/store.h"

/* Removes the folders of topics and groups that are listed no more: whoever deleted them died before he had
 * removed them, or the power failed before that was on the disk. */
bool leftovers_remove(struct logstore *store, struct error *error);

#endif
