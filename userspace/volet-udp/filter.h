/* SPDX-License-Identifier: MIT */
/* The system calls that volet-udp may make: its own list, far shorter than a session program's. */
#ifndef VOLET_UDP_FILTER_H
#define VOLET_UDP_FILTER_H

#include <stdbool.h>

#include "sandbox.h"

/*
 * From here on a datagram can only go to where its socket is connected, and no socket can be
 * connected anew. False with a sentence in `why`; the program then refuses to run.
 */
bool filter_load(char why[SANDBOX_WHY_MAX]);

#endif
