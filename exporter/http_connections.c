#include "exporter/http_connections.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum phase { PHASE_WAITING, PHASE_ANSWERING, PHASE_STREAMING, PHASE_ENDED, PHASES };

/* In the list of its phase, the oldest first. */
struct open_connection {
    struct open_connection *previous, *next;
    enum phase phase;
    int fd;
    int64_t deadline_us; /* by clock_monotonic_us() */
};

struct list {
    struct open_connection *first, *last;
    size_t count;
};

/* A socket is shut down under the lock only, and leaves its list before the library closes it: so it is never
 * another's that has got the same number. */
struct connections {
    pthread_mutex_t lock;
    pthread_cond_t stop_requested;
    bool stop;
    struct list lists[PHASES];
    struct connection_limits limits;
    pthread_t thread;
};

enum {
    CHECK_SECONDS = 1,
    FEWEST = 16,
    OTHER_DESCRIPTORS = 200, /* for sources, files, the library itself */
    /* Of a stream the kernel takes this much ahead of what its reader has room for, not the megabytes that it
     * would take else: a slow reader pins little memory, and a crowd of them little time to render what
     * nobody reads. What is under way to a quick reader doesn't count. */
    UNSENT_MOST = 256 * 1024,
};

const struct connection_limits connections_default_limits = {
    .header_seconds = 10,
    .answer_seconds = 60,
    .idle_seconds = 30,
    .most = 1200,
    .most_streams = 64,
};

/* --- the lists ----------------------------------------------------------------------------------------- */

static void leave(struct connections *connections, struct open_connection *connection)
{
    struct list *list = &connections->lists[connection->phase];
    *(connection->previous != NULL ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next != NULL ? &connection->next->previous : &list->last) = connection->previous;
    list->count--;
}

static void join(struct connections *connections, struct open_connection *connection, enum phase phase)
{
    struct list *list = &connections->lists[phase];
    connection->phase = phase;
    connection->next = NULL;
    connection->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = connection;
    list->last = connection;
    list->count++;
}

/* What the kernel still has of an answer is dropped, too: else a slow reader would go on taking it, and keep
 * its memory, for as long as it pleases. */
static void drop_rest(const struct open_connection *connection)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once,
                     sizeof at_once); /* of no use if it fails */
}

/* Lets the library see the end of the connection; it tells connections_notify() when it has closed it. */
static void end(struct connections *connections, struct open_connection *connection)
{
    if (connection->phase == PHASE_ANSWERING || connection->phase == PHASE_STREAMING)
        drop_rest(connection);
    (void)shutdown(connection->fd, SHUT_RDWR); /* fails only where the other side has ended it */
    leave(connections, connection);
    join(connections, connection, PHASE_ENDED);
}

static void enter(struct connections *connections, struct open_connection *connection, enum phase phase,
                  int seconds)
{
    connection->deadline_us = clock_monotonic_us() + (int64_t)seconds * 1000000;
    join(connections, connection, phase);
}

/* --- what the server tells ----------------------------------------------------------------------------- */

static void add(struct connections *connections, struct open_connection *connection)
{
    size_t open = 0;
    for (int phase = 0; phase < PHASE_ENDED; phase++)
        open += connections->lists[phase].count;
    struct open_connection *oldest = connections->lists[PHASE_WAITING].first;
    if (open >= connections->limits.most && oldest != NULL)
        end(connections, oldest);
    enter(connections, connection, PHASE_WAITING, connections->limits.header_seconds);
}

void connections_notify(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct connections *connections = context;
    struct open_connection *open = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = open = MEM_NEW(struct open_connection);
        open->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        pthread_mutex_lock(&connections->lock);
        add(connections, open);
    } else {
        pthread_mutex_lock(&connections->lock);
        leave(connections, open);
    }
    pthread_mutex_unlock(&connections->lock);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        free(open);
}

/* Moves the connection to another phase, unless it has been ended. */
static void change_phase(struct connections *connections, struct MHD_Connection *connection, enum phase phase,
                         int seconds)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct open_connection *open = info->socket_context;
    pthread_mutex_lock(&connections->lock);
    struct open_connection *oldest = connections->lists[PHASE_STREAMING].first;
    if (phase == PHASE_STREAMING &&
        connections->lists[PHASE_STREAMING].count >= connections->limits.most_streams)
        end(connections, oldest);
    if (open->phase != PHASE_ENDED) {
        leave(connections, open);
        enter(connections, open, phase, seconds);
    }
    pthread_mutex_unlock(&connections->lock);
}

void connections_begin_answer(struct connections *connections, struct MHD_Connection *connection)
{
    change_phase(connections, connection, PHASE_ANSWERING, connections->limits.answer_seconds);
}

void connections_begin_stream(struct connections *connections, struct MHD_Connection *connection)
{
    int unsent = UNSENT_MOST,
        fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    /* Where it fails, it is as if there were no such limit. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    change_phase(connections, connection, PHASE_STREAMING, connections->limits.answer_seconds);
}

void connections_end_answer(struct connections *connections, struct MHD_Connection *connection)
{
    change_phase(connections, connection, PHASE_WAITING,
                 connections->limits.idle_seconds + connections->limits.header_seconds);
}

/* --- the deadlines ------------------------------------------------------------------------------------- */

static void end_overdue(struct connections *connections)
{
    int64_t now = clock_monotonic_us();
    for (int phase = 0; phase < PHASE_ENDED; phase++) {
        struct open_connection *next;
        for (struct open_connection *open = connections->lists[phase].first; open != NULL; open = next) {
            next = open->next;
            if (open->deadline_us < now)
                end(connections, open);
        }
    }
}

static void *watch(void *context)
{
    struct connections *connections = context;
    pthread_mutex_lock(&connections->lock);
    while (!connections->stop) {
        int64_t until = clock_monotonic_us() + CHECK_SECONDS * 1000000;
        struct timespec deadline = {.tv_sec = (time_t)(until / 1000000),
                                    .tv_nsec = (long)(until % 1000000) * 1000};
        pthread_cond_timedwait(&connections->stop_requested, &connections->lock, &deadline);
        end_overdue(connections);
    }
    pthread_mutex_unlock(&connections->lock);
    return NULL;
}

/* How many of so many connections there are descriptors for; raises the limit as far as it may. */
static size_t count_room(size_t most)
{
    struct rlimit limit;
    rlim_t wanted = most + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return FEWEST;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur >= wanted)
        return most;
    return limit.rlim_cur > OTHER_DESCRIPTORS + FEWEST ? limit.rlim_cur - OTHER_DESCRIPTORS : FEWEST;
}

struct connections *connections_start(const struct connection_limits *limits, struct error *error)
{
    struct connections *connections = MEM_NEW(struct connections);
    connections->limits = *limits;
    connections->limits.most = count_room(limits->most);
    pthread_mutex_init(&connections->lock, NULL); /* can't fail with default attributes on Linux */
    pthread_condattr_t attributes;                /* nor can what follows, up to the thread */
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&connections->stop_requested, &attributes);
    pthread_condattr_destroy(&attributes);
    int code = pthread_create(&connections->thread, NULL, watch, connections);
    if (code == 0)
        return connections;
    error_set_errno(error, ERROR_IO, code, "start the thread that watches connections");
    pthread_cond_destroy(&connections->stop_requested);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
    return NULL;
}

void connections_stop(struct connections **connections)
{
    struct connections *c = *connections;
    *connections = NULL;
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->stop_requested);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL); /* can't fail for a thread that was started and never joined */
    pthread_cond_destroy(&c->stop_requested);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
