#ifndef TIDEMARK_BASE_FILE_H
#define TIDEMARK_BASE_FILE_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"

/* Opens a file to read it; close() the descriptor. Nothing but a regular file is: a FIFO may keep who opens
 * it waiting for ever, and a device may never end. -1: ERROR_NOT_FOUND when there is none, else ERROR_IO; the
 * text is the bare reason, to be wrapped with what the file is. */
int file_open(const char *path, struct error *error);

/* Appends the rest of the file to the buffer. False, with errno, when it can't be read; when it has no room
 * the buffer has failed. */
bool file_read(int fd, struct buf *content);

#endif
