#ifndef LOGSTORE_DOCUMENT_H
#define LOGSTORE_DOCUMENT_H

#include "logstore/bytes.h"
#include "logstore/head.h"

#include "exporter/base/buf.h"

/* A file that holds one value, which is replaced as a whole (FORMAT.md, "Document"). */
struct document {
    struct file file;
    uint64_t sequence; /* of the value that was read last; 0: none yet */
};

/* Makes the file with a first value, in place of one that is there and was never finished. Nothing is left
 * open. */
bool document_create(int directory, const char *name, const struct head *head, struct str value,
                     struct error *error);

/* Opens the file, for writing too where `flags` says O_RDWR, and checks its head. */
bool document_open(struct document *document, int directory, const char *name, int flags, struct head *head,
                   struct error *error);
void document_close(struct document *document);

/* Whether there is another value than was read last. Costs one small read. */
bool document_changed(struct document *document, bool *changed, struct error *error);

/* Reads the present value into `value`, replacing what is in it. */
bool document_read(struct document *document, struct buf *value, struct error *error);

/* Replaces the value and waits until it is on the disk. The caller holds the lock that guards the document.
 */
bool document_write(struct document *document, struct str value, struct error *error);

/* Waits until the value that was read is on the disk, before something is built on it: its writer may have
 * died before that, or have failed to sync it. The document was opened for writing; no lock is needed. */
bool document_sync(const struct document *document, struct error *error);

/* Every value begins with the version of its layout. Takes it; ERROR_UNSUPPORTED, which calls the value
 * `what`, when it is none of those from 1 to `known`. */
bool document_take_version(struct cursor *cursor, const char *what, uint32_t known, uint32_t *version,
                           struct error *error);

#endif
