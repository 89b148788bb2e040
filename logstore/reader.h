#ifndef LOGSTORE_READER_H
#define LOGSTORE_READER_H

#include "logstore/scan.h"
#include "logstore/store.h"

/* Reads a partition given by number, for the library's own use. */
struct logstore_reader *reader_new(struct logstore *store, const struct partition_view *view, int64_t offset,
                                   struct error *error);

/* Makes the reader one of another partition, at `offset`. */
void reader_move(struct logstore_reader *reader, const struct partition_view *view, int64_t offset);

/* Stands at the first record of `time` or later, or at the end. */
bool reader_seek_time(struct logstore_reader *reader, int64_t time, struct error *error);

/* Like logstore_read(), but where retention has deleted the record it goes on with the first one that is
 * still there. */
enum logstore_read reader_read_from(struct logstore_reader *reader, struct logstore_record *record,
                                    struct error *error);

#endif
