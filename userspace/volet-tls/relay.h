/* SPDX-License-Identifier: MIT */
/*
 * Between the viewer's TLS and the session program's byte stream. What goes to the viewer stays
 * in the stream's queue until the viewer has acknowledged it: it is only looked at, encrypted and
 * sent, and taken out later. So the session program sees in its own socket, as without TLS, how
 * much of what it wrote hasn't arrived; its age limit and its complete-or-skip go on to hold,
 * and no more is under way than would be without this process.
 */
#ifndef VOLET_TLS_RELAY_H
#define VOLET_TLS_RELAY_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Before relay_run(), and before the sandbox. False when the kernel can't. */
bool relay_prepare(int plain);

/* Until either side ends, or `control` does. True when the session program ended first, in order. */
bool relay_run(SSL *ssl, int tcp, int plain, int control);

#endif
