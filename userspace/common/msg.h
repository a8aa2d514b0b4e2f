/* SPDX-License-Identifier: MIT */
/* Sending and receiving one fixed-size message with its descriptors; see protocol.h. */
#ifndef VOLET_MSG_H
#define VOLET_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include "protocol.h"

#define MSG_FDS_MAX 3

/*
 * A close-on-exec, non-blocking pair of connected SOCK_SEQPACKET sockets.
 * Returns 0, or -errno.
 */
int msg_pair(int fds[2]);

/*
 * Send `size` bytes of `msg` with `n_fds` descriptors (borrowed, still the caller's).
 * Returns 0, -EAGAIN when the peer doesn't read, or another -errno (-EPIPE: it is gone).
 */
int msg_send(int sock, const void *msg, size_t size, const int *fds, unsigned int n_fds);

/*
 * Receive one message of exactly `size` bytes and up to MSG_FDS_MAX descriptors, which
 * become the caller's (close-on-exec; unused entries of `fds` are -1).
 * Returns 0, -EAGAIN when there is none, -EPIPE when the peer is gone, -EPROTO for a message
 * of another size or with too many descriptors (all closed), or another -errno.
 */
int msg_recv(int sock, void *msg, size_t size, int fds[MSG_FDS_MAX], unsigned int *n_fds);

/* As msg_recv(), but waits up to `timeout_ms`; -ETIMEDOUT after that. */
int msg_recv_wait(int sock, void *msg, size_t size, int fds[MSG_FDS_MAX], unsigned int *n_fds,
		  int timeout_ms);

/* Close every descriptor in `fds` and set it to -1. */
void msg_close_fds(int fds[MSG_FDS_MAX]);

/* True when `text` has a NUL within `size` bytes. */
bool msg_text_ok(const char *text, size_t size);

/* True when `name` is a name of a camera or a viewer: 1 to VOLET_NAME_MAX - 1 of [A-Za-z0-9_-]. */
bool msg_name_ok(const char *name);

/* A word for a log line, never NULL. */
const char *volet_reason_text(unsigned int reason);

#endif
