#include "exporter/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* A socket that listens on the address, or -1 with errno. */
static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    bool prepared = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    /* The IPv6 wildcard serves IPv4, too. */
    if (address->ai_family == AF_INET6)
        prepared = prepared && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (prepared && bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static void set_listen_error(struct error *error, const char *host, uint16_t port, int reason)
{
    enum error_code code = ERROR_USAGE;
    const char *remedy = "give an address of this machine";
    if (reason == EADDRINUSE) {
        code = ERROR_UNAVAILABLE;
        remedy = "end the program that has it, or choose another with --listen ADDRESS:PORT";
    } else if (reason == EACCES) {
        code = ERROR_DENIED;
        remedy = "choose a port above 1023 with --listen ADDRESS:PORT";
    }
    error_set(error, code, "can't listen on %s:%u: %s; %s", host != NULL ? host : "", (unsigned)port,
              strerror(reason), remedy);
}

/* The first of the addresses that can be listened on; IPv6 first, since its wildcard serves both. */
static int listen_on_first(const struct addrinfo *addresses)
{
    static const int families[] = {AF_INET6, AF_INET};
    int reason = EADDRNOTAVAIL;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
            if (address->ai_family != families[f])
                continue;
            int fd = listen_on(address);
            if (fd >= 0)
                return fd;
            /* "No IPv6 here" says less than what IPv4 is going to say. */
            reason = errno;
        }
    }
    errno = reason;
    return -1;
}

int http_listen(const char *host, uint16_t port, struct error *error)
{
    if (host != NULL && *host == '\0')
        host = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int code = getaddrinfo(host, service, &hints, &addresses);
    if (code != 0) {
        error_set(error, ERROR_USAGE, "can't listen on %s:%s: %s; give an address of this machine",
                  host != NULL ? host : "", service, gai_strerror(code));
        return -1;
    }
    int fd = listen_on_first(addresses);
    if (fd < 0)
        set_listen_error(error, host, port, errno);
    freeaddrinfo(addresses);
    return fd;
}

bool http_listen_port(int fd, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char service[8];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, service, sizeof service, NI_NUMERICSERV) !=
            0)
        return false;
    *port = (uint16_t)strtoul(service, NULL, 10);
    return true;
}
