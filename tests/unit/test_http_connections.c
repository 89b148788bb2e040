#include "exporter/http_connections.h"

#include "exporter/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server of the library's whose connections have little time for what a test is about, and as good as for
 * ever for the rest; its answers at /endless never end. */

enum { HEADER_S = 2, ANSWER_S = 4, IDLE_S = 5, LONG_S = 100000, MOST = 6, MOST_STREAMS = 2, PATIENCE_S = 60 };

static const struct connection_limits little_for_answers = {LONG_S, ANSWER_S, LONG_S, MOST, MOST_STREAMS},
                                      little_between_them = {HEADER_S, LONG_S, IDLE_S, MOST, MOST_STREAMS},
                                      no_hurry = {LONG_S, LONG_S, LONG_S, MOST, MOST_STREAMS};

struct server {
    struct connections *connections;
    struct MHD_Daemon *daemon;
    struct sockaddr_in address;
};

static ssize_t fill(void *context, uint64_t position, char *target, size_t room)
{
    (void)context, (void)position;
    memset(target, 'x', room);
    return (ssize_t)room;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)method, (void)version, (void)upload, (void)upload_size;
    struct server *server = context;
    if (*state == NULL) {
        *state = server;
        connections_begin_answer(server->connections, connection);
        return MHD_YES;
    }
    struct MHD_Response *response;
    if (strcmp(path, "/endless") == 0) {
        connections_begin_stream(server->connections, connection);
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, fill, NULL, NULL);
    } else {
        response = MHD_create_response_from_buffer(2, "ok", MHD_RESPMEM_PERSISTENT);
    }
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode reason)
{
    (void)state, (void)reason;
    connections_end_answer(((struct server *)context)->connections, connection);
}

/* The state is the limits before, the server afterwards. */
static int setup(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    struct error error = {0};
    assert_non_null(server);
    server->connections = connections_start(*state, &error);
    assert_non_null(server->connections);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof server->address;
    server->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&server->address, length), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&server->address, &length), 0);
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, server,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_CONNECTION, connections_notify,
                         server->connections, MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_END);
    assert_non_null(server->daemon);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;
    MHD_stop_daemon(server->daemon);
    connections_stop(&server->connections);
    free(server);
    return 0;
}

/* --- clients ------------------------------------------------------------------------------------------- */

static int client(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int little = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&server->address, sizeof server->address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Takes a byte if there is one within `ms`; false when the other side has ended the connection. */
static bool take(int fd, int ms)
{
    char byte;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, ms) <= 0)
        return true;
    return recv(fd, &byte, 1, 0) > 0;
}

/* Asks for the short answer and reads it. */
static void is_answered(int fd)
{
    char text[1000] = "";
    size_t length = 0;
    say(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    while (length < 2 || memcmp(text + length - 2, "ok", 2) != 0) {
        ssize_t count = recv(fd, text + length, sizeof text - length, 0);
        assert_true(count > 0);
        length += (size_t)count;
    }
}

/* Whether the connection is over; reads away some of what was said before. */
static bool is_over(int fd)
{
    char bytes[4096];
    ssize_t count = 1;
    for (int i = 0; i < 100 && count > 0; i++)
        count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count > 0)
        return false;
    return count == 0 || (errno != EAGAIN && errno != EINTR);
}

static void will_be_over(int fd)
{
    for (int i = 0; i < PATIENCE_S * 100 && !is_over(fd); i++)
        usleep(10 * 1000);
    assert_true(is_over(fd));
}

/* --- the tests ----------------------------------------------------------------------------------------- */

/* A reader takes a little all the time, so it is never idle; it is cut off when the time for its answer is
 * over, and not before, with all that the kernel held for it. */
static void test_a_slow_reader(void **state)
{
    int fd = client(*state);
    char bytes[1000];
    ssize_t count = 1;
    int64_t start = clock_monotonic_us(), taken = 0;
    say(fd, "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n");
    while (count > 0 && taken < (int64_t)PATIENCE_S * 1000000) {
        count = recv(fd, bytes, sizeof bytes, 0);
        usleep(20 * 1000);
        taken = clock_monotonic_us() - start;
    }
    assert_true(count <= 0);
    assert_true(taken / 1000 >= ANSWER_S * 1000 - 100);
    close(fd);
}

/* A header comes a byte at a time and is never complete. */
static void test_a_trickling_header(void **state)
{
    int64_t start = clock_monotonic_us();
    int fd = client(*state);
    say(fd, "GET / HTTP/1.1\r\nX: ");
    while (!is_over(fd) && clock_monotonic_us() - start < (int64_t)PATIENCE_S * 1000000) {
        (void)send(fd, "x", 1, MSG_NOSIGNAL); /* it may be over by now */
        usleep(50 * 1000);
    }
    assert_true(is_over(fd));
    assert_true(clock_monotonic_us() - start >= (int64_t)HEADER_S * 1000000);
    close(fd);
}

/* Who has been answered has longer, and is gone at last. */
static void test_between_two_requests(void **state)
{
    int fd = client(*state);
    is_answered(fd);
    int64_t start = clock_monotonic_us();
    usleep(HEADER_S * 1000 * 1000 + 100 * 1000);
    is_answered(fd);
    will_be_over(fd);
    assert_true(clock_monotonic_us() - start >= (int64_t)(HEADER_S + IDLE_S) * 1000000);
    close(fd);
}

/* There are as many connections as may be, all of them waiting: the oldest goes for a new one. */
static void test_the_oldest_that_waits_makes_room(void **state)
{
    int fds[MOST];
    for (int i = 0; i < MOST; i++) {
        fds[i] = client(*state);
        is_answered(fds[i]);
    }
    int another = client(*state);
    is_answered(another);
    will_be_over(fds[0]);
    is_answered(fds[MOST - 1]);
    close(another);
    for (int i = 0; i < MOST; i++)
        close(fds[i]);
}

/* As many endless answers as may be are under way: the oldest goes for a new one. */
static void test_the_oldest_stream_makes_room(void **state)
{
    int fds[MOST_STREAMS + 1];
    for (int i = 0; i < MOST_STREAMS + 1; i++) {
        fds[i] = client(*state);
        say(fds[i], "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_true(take(fds[i], PATIENCE_S * 1000));
    }
    will_be_over(fds[0]);
    for (int i = 1; i < MOST_STREAMS + 1; i++) {
        assert_true(take(fds[i], 0));
        close(fds[i]);
    }
    close(fds[0]);
}

int main(void)
{
#define TEST(name, limits)                                                                                   \
    cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, (void *)(uintptr_t)(limits))
    const struct CMUnitTest tests[] = {
        TEST(test_a_slow_reader, &little_for_answers),
        TEST(test_a_trickling_header, &little_between_them),
        TEST(test_between_two_requests, &little_between_them),
        TEST(test_the_oldest_that_waits_makes_room, &no_hurry),
        TEST(test_the_oldest_stream_makes_room, &no_hurry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
