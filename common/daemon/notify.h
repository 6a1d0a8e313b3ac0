/*
 * Telling the service manager (systemd, or `merpati run`) how things stand: the sd_notify protocol, datagrams of
 * "NAME=value" lines to the socket in $NOTIFY_SOCKET.
 */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child inherits them. */
void notify_open(void);
/* "READY=1", "STOPPING=1", "RELOADING=1", "WATCHDOG=1", "STATUS=...". Does nothing when nobody listens. */
void notify_send(const char *lines);
/* How often "WATCHDOG=1" is expected at least, in ms; 0: not at all. */
uint64_t notify_watchdog_ms(void);
/* For a child after fork: only the parent speaks. */
void notify_close(void);

#endif
