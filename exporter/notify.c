#include "exporter/notify.h"

#include "exporter/base/buf.h"
#include "exporter/base/clock.h"
#include "exporter/base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The address in NOTIFY_SOCKET: a path, or "@" and an abstract name. False when there is none. */
static bool find_socket(struct sockaddr_un *address, socklen_t *length)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name == NULL || (name[0] != '/' && name[0] != '@'))
        return false;
    size_t bytes = strlen(name);
    if (bytes < 2 || bytes >= sizeof address->sun_path)
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, bytes + 1);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    /* An abstract name ends with the length, a path with a NUL. */
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (name[0] == '/'));
    return true;
}

static void send_state(const char *state)
{
    struct sockaddr_un address;
    socklen_t length;
    if (!find_socket(&address, &length))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length) < 0)
        log_event(LOG_LEVEL_WARN, "the service manager can't be told",
                  LOG_FIELDS(log_text("state", state), log_text("reason", strerror(errno))));
    if (fd >= 0)
        close(fd);
}

void notify_ready(void)
{
    send_state("READY=1");
}

void notify_reloading(void)
{
    struct buf state = buf_make(100);
    buf_add_text(&state, "RELOADING=1\nMONOTONIC_USEC=");
    buf_add_int(&state, clock_monotonic_us());
    buf_add_char(&state, '\0');
    if (buf_ok(&state))
        send_state(state.bytes);
    buf_free(&state);
}

void notify_stopping(void)
{
    send_state("STOPPING=1");
}

void notify_alive(void)
{
    send_state("WATCHDOG=1");
}

/* A whole number above 0; 0 for anything else. */
static int64_t read_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    long long number = text == NULL ? 0 : strtoll(text, &end, 10);
    return number > 0 && errno == 0 && *end == '\0' ? number : 0;
}

int64_t notify_watchdog_us(void)
{
    const char *process = getenv("WATCHDOG_PID");
    if (process != NULL && read_number(process) != getpid())
        return 0;
    return read_number(getenv("WATCHDOG_USEC"));
}
