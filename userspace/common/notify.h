/* SPDX-License-Identifier: MIT */
/*
 * What a service manager is told, and gives: sd_notify(3) and sd_listen_fds(3), the few lines
 * of them that are needed. Where there is no such manager nothing happens.
 */
#ifndef VOLET_NOTIFY_H
#define VOLET_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Opens the way to the manager, before a sandbox. What the environment said of it is removed. */
void notify_init(void);

/* Such as "READY=1". Never waits; what can't be said now isn't. */
void notify_say(const char *state);

/* How often the manager wants to hear WATCHDOG=1, in microseconds; 0: it doesn't. */
uint64_t notify_watchdog_us(void);

/*
 * The listening socket that the manager opened for this process, or -1; -2: more than one. One that it
 * calls "rtsps" (FileDescriptorName=) is for RTSPS, one of any other name, or of none, for RTSP.
 */
int notify_listener(bool rtsps);

#endif
