#ifndef TIDEMARK_HTTP_CONNECTIONS_H
#define TIDEMARK_HTTP_CONNECTIONS_H

#include "exporter/base/error.h"

#include <microhttpd.h>

/*
 * The connections that are open, and how long each may take. The library's time-out is for idleness: who
 * sends a byte now and then, or takes one, could stay for ever. Here a header has to be complete and an
 * answer to be taken by a deadline, and when there are too many connections the oldest of those that only
 * wait makes room, so that nobody can keep a good scraper out. A connection ends by a shutdown of its socket;
 * the library then closes it.
 */
struct connections;

struct connection_limits {
    int header_seconds;  /* from connecting to a complete header */
    int answer_seconds;  /* from the header to the answer's last byte */
    int idle_seconds;    /* from an answer to the next request */
    size_t most;         /* at a time, if there are as many descriptors */
    size_t most_streams; /* answers that hold memory of their own while they are sent, at a time */
};

extern const struct connection_limits connections_default_limits;

/* Starts the thread that watches the deadlines. NULL: there can be none. */
struct connections *connections_start(const struct connection_limits *limits, struct error *error);

/* Ends the thread, after the server has been stopped, and sets *connections to NULL; NULL is accepted. */
void connections_stop(struct connections **connections);

/* For MHD_OPTION_NOTIFY_CONNECTION; the context is the connections. */
void connections_notify(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* The header of a request has been read; its answer was sent, or ended otherwise. */
void connections_begin_answer(struct connections *connections, struct MHD_Connection *connection);
void connections_end_answer(struct connections *connections, struct MHD_Connection *connection);

/* The answer under way is made while it is sent, or for this reader alone: it holds memory for as long as its
 * reader takes. */
void connections_begin_stream(struct connections *connections, struct MHD_Connection *connection);

#endif
