#ifndef TIDEMARK_NOTIFY_H
#define TIDEMARK_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Tells a service manager how the daemon is doing, by the protocol of sd_notify(3): a datagram to the socket
 * that the environment names. Where it names none, or none that works, nothing is sent: the daemon runs as
 * well without.
 */

/* It answers scrapes from now on, or goes on after a reload. */
void notify_ready(void);

/* It reads its configuration again; notify_ready() follows. */
void notify_reloading(void);

/* It is ending. */
void notify_stopping(void);

/* It is not stuck. */
void notify_alive(void);

/* How often notify_alive() is wanted at the least, in microseconds; 0: not at all. */
int64_t notify_watchdog_us(void);

#endif
