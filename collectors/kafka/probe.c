#include "collectors/kafka/probe.h"

#include "exporter/base/buf.h"
#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_MOST = 1024, /* bytes of an answer that are looked at */
    SHOWN_MOST = 40,    /* characters of a foreign answer that are shown */
    KEY_SASL_HANDSHAKE = 17,
    KEY_API_VERSIONS = 18,
    ERROR_ILLEGAL_SASL_STATE = 34, /* of a listener that wants no password */
};

struct answer {
    unsigned char bytes[ANSWER_MOST];
    size_t length;
};

static struct kafka_probe result(enum kafka_probe_outcome outcome, const char *detail)
{
    return (struct kafka_probe){outcome, mem_copy_text(detail)};
}

void kafka_probe_free(struct kafka_probe *probe)
{
    free(probe->detail);
    probe->detail = NULL;
}

/* --- a connection -------------------------------------------------------------------------------------- */

static bool wait_for(int fd, short events, int64_t deadline_us)
{
    int64_t left_ms = (deadline_us - clock_monotonic_us()) / 1000;
    struct pollfd wanted = {.fd = fd, .events = events};
    int ready;
    do
        ready = poll(&wanted, 1, left_ms > 0 ? (int)left_ms : 0);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        errno = ETIMEDOUT;
    return ready > 0;
}

/* A connected socket, or -1 with errno. */
static int connect_to(const struct addrinfo *address, int timeout_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    int reason = 0;
    socklen_t length = sizeof reason;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 &&
        (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_us) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &length) != 0))
        reason = errno;
    if (reason == 0)
        return fd;
    close(fd);
    errno = reason;
    return -1;
}

static int connect_to_first(const struct addrinfo *addresses, int timeout_ms)
{
    int fd = -1;
    for (; addresses != NULL && fd < 0; addresses = addresses->ai_next)
        fd = connect_to(addresses, timeout_ms);
    return fd;
}

/* Whether there is a whole answer of Kafka's: a length, and as much as it says. */
static bool is_whole(const struct answer *answer)
{
    const unsigned char *b = answer->bytes;
    return answer->length >= 4 &&
           answer->length - 4 >= ((size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3]);
}

/* Sends the question and takes what comes back, until that is whole, the other side hangs up, or time is up.
 */
static struct answer ask(int fd, const struct buf *question, int timeout_ms)
{
    struct answer answer = {.length = 0};
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    /* A few dozen bytes fit into any socket's buffer. */
    if (!buf_ok(question) ||
        send(fd, question->bytes, question->length, MSG_NOSIGNAL) != (ssize_t)question->length)
        return answer;
    while (answer.length < ANSWER_MOST && !is_whole(&answer) && wait_for(fd, POLLIN, deadline_us)) {
        ssize_t got = recv(fd, answer.bytes + answer.length, ANSWER_MOST - answer.length, 0);
        if (got <= 0)
            break;
        answer.length += (size_t)got;
    }
    return answer;
}

/* --- questions ----------------------------------------------------------------------------------------- */

static void add_u16(struct buf *buf, unsigned value)
{
    buf_add_char(buf, (char)(value >> 8));
    buf_add_char(buf, (char)(value & 0xff));
}

static void add_text(struct buf *buf, const char *text)
{
    add_u16(buf, (unsigned)strlen(text));
    buf_add_text(buf, text);
}

/* A request with header version 1; `key` is its correlation id, too. A text of NULL: no body. */
static struct buf request(unsigned key, unsigned version, const char *text)
{
    static const char client[] = "tidemark";
    struct buf buf = buf_make(256);
    add_u16(&buf, 0);
    add_u16(&buf, (unsigned)(2 + 2 + 4 + 2 + strlen(client) + (text != NULL ? 2 + strlen(text) : 0)));
    add_u16(&buf, key);
    add_u16(&buf, version);
    add_u16(&buf, 0);
    add_u16(&buf, key);
    add_text(&buf, client);
    if (text != NULL)
        add_text(&buf, text);
    return buf;
}

static bool answers(const struct answer *answer, unsigned key)
{
    const unsigned char *b = answer->bytes;
    return answer->length >= 10 && b[0] == 0 && b[4] == 0 && b[5] == 0 && (unsigned)(b[6] << 8 | b[7]) == key;
}

/* The beginning of a TLS connection (RFC 5246, 7.4.1.2), without extensions: whoever speaks TLS answers with
 * a handshake or an alert, in its own language. */
static struct buf client_hello(void)
{
    static const unsigned char ciphers[] = {0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2c, 0x00, 0x9c};
    enum { BODY = 2 + 32 + 1 + 2 + sizeof ciphers + 2 };
    struct buf buf = buf_make(256);
    buf_add_char(&buf, 0x16);
    add_u16(&buf, 0x0301);
    add_u16(&buf, BODY + 4);
    buf_add_char(&buf, 1);
    buf_add_char(&buf, 0);
    add_u16(&buf, BODY);
    add_u16(&buf, 0x0303);
    for (int i = 0; i < 32; i++)
        buf_add_char(&buf, (char)i);
    buf_add_char(&buf, 0);
    add_u16(&buf, sizeof ciphers);
    buf_add(&buf, ciphers, sizeof ciphers);
    add_u16(&buf, 0x0100); /* one compression method: none */
    return buf;
}

static bool speaks_tls(const struct answer *answer)
{
    return answer->length >= 3 && (answer->bytes[0] == 0x15 || answer->bytes[0] == 0x16) &&
           answer->bytes[1] == 3;
}

/* --- conclusions --------------------------------------------------------------------------------------- */

/* The names in the answer to a handshake with a mechanism that doesn't exist, separated by commas. */
static void add_mechanisms(struct buf *names, const struct answer *answer)
{
    const unsigned char *b = answer->bytes;
    size_t at = 14;
    while (at + 2 <= answer->length) {
        size_t length = (size_t)b[at] << 8 | b[at + 1];
        if (length > answer->length - at - 2)
            break;
        if (names->length > 0)
            buf_add_text(names, ", ");
        for (size_t i = 0; i < length; i++)
            buf_add_char(names, isgraph(b[at + 2 + i]) ? (char)b[at + 2 + i] : '?');
        at += 2 + length;
    }
}

/* A listener that wants a password answers with the mechanisms that it has; one that wants none refuses. */
static struct kafka_probe password_wanted(int fd, int timeout_ms)
{
    struct buf question = request(KEY_SASL_HANDSHAKE, 1, "?");
    struct answer answer = ask(fd, &question, timeout_ms);
    buf_free(&question);
    bool knows = answers(&answer, KEY_SASL_HANDSHAKE);
    if (!knows || (answer.bytes[8] << 8 | answer.bytes[9]) == ERROR_ILLEGAL_SASL_STATE)
        return result(KAFKA_PROBE_PLAIN, "");
    struct buf names = buf_make(ANSWER_MOST * 2);
    add_mechanisms(&names, &answer);
    struct kafka_probe probe = {KAFKA_PROBE_SASL, mem_copy_str(buf_str(&names))};
    buf_free(&names);
    return probe;
}

static struct kafka_probe no_kafka(const struct answer *answer)
{
    char shown[SHOWN_MOST + 1];
    size_t length = 0;
    while (length < answer->length && length < SHOWN_MOST && isprint(answer->bytes[length])) {
        shown[length] = (char)answer->bytes[length];
        length++;
    }
    shown[length] = '\0';
    return result(length > 0 ? KAFKA_PROBE_FOREIGN : KAFKA_PROBE_SILENT, shown);
}

static bool is_tls(const struct addrinfo *addresses, int timeout_ms)
{
    int fd = connect_to_first(addresses, timeout_ms);
    if (fd < 0)
        return false;
    struct buf hello = client_hello();
    struct answer answer = ask(fd, &hello, timeout_ms);
    buf_free(&hello);
    close(fd);
    return speaks_tls(&answer);
}

static struct kafka_probe probe_addresses(const struct addrinfo *addresses, int timeout_ms)
{
    int fd = connect_to_first(addresses, timeout_ms);
    if (fd < 0)
        return result(KAFKA_PROBE_UNREACHABLE, strerror(errno));
    struct buf question = request(KEY_API_VERSIONS, 0, NULL);
    struct answer answer = ask(fd, &question, timeout_ms);
    buf_free(&question);
    struct kafka_probe probe;
    if (answers(&answer, KEY_API_VERSIONS))
        probe = password_wanted(fd, timeout_ms);
    else if (speaks_tls(&answer) || is_tls(addresses, timeout_ms))
        probe = result(KAFKA_PROBE_TLS, "");
    else
        probe = no_kafka(&answer);
    close(fd);
    return probe;
}

struct kafka_probe kafka_probe_port(const char *host, const char *port, int timeout_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int code = getaddrinfo(host, port, &hints, &addresses);
    if (code != 0)
        return result(KAFKA_PROBE_UNRESOLVED, gai_strerror(code));
    struct kafka_probe probe = probe_addresses(addresses, timeout_ms);
    freeaddrinfo(addresses);
    return probe;
}
