#ifndef LOGSTORE_QUOTE_H
#define LOGSTORE_QUOTE_H

#include "exporter/base/str.h"

/* A name as error texts show it: in quotes, what isn't printable ASCII escaped, and cut when long. */
struct quoted {
    char text[256];
};

/* Returns space->text, so that it can stand among the arguments of a format. */
const char *quote(struct str name, struct quoted *space);

#endif
