#ifndef TIDEMARK_HTTP_ACCEPT_H
#define TIDEMARK_HTTP_ACCEPT_H

#include "exporter/encode.h"

/* What a client would rather have: the headers Accept and Accept-Encoding with their weights (RFC 9110,
 * 12.5). Pure. A header that wasn't sent is "". */

/* OpenMetrics where it is named and weighs no less than the text format; the text format for everyone else.
 */
enum page_format accept_format(const char *accept);

/* Whether the answer should be compressed with gzip. */
bool accept_gzip(const char *accept_encoding);

#endif
