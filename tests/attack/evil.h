/* SPDX-License-Identifier: MIT */
/*
 * A compromised program of Volet's, led by a test: it holds the real handles, enters the real
 * sandbox when told to, and does what the test says, a line at a time, answering each with
 * a line. The test decides what to send, so every message can be made wrong in every way.
 *
 *   shut                     enter the sandbox          ok | failed WHY
 *   sizes                    bytes of a message        CONTROL FRAMES BUS
 *   send CHANNEL FDS HEX     send bytes, FDS copies of a descriptor  ok | errno N
 *   recv CHANNEL MS          one message                HEX FDS | none | end
 *   try NAME NUMBER          an attempt (attempts.c)    worked | errno N | worked N
 *   give NAME                hand every descriptor to an abstract socket  ok | errno N
 *   drop CHANNEL             close it                   ok
 *   memory SIZE SEALED       memory as a volet-cam makes it, whose memfd `send` sends  ok | errno N
 *   poke OFFSET HEX          write there                ok
 *
 * CHANNEL is 0 for the control channel (of a volet-cam: the bus), 1 for frames.
 */
#ifndef EVIL_H
#define EVIL_H

#include <stdbool.h>
#include <stddef.h>

struct evil {
	int lead;		/* the test */
	int control, frames, memfd, viewer;
	void *map;
	size_t size;
	/* Enter the sandbox; "ok", or why not. */
	const char *(*shut)(void);
};

void evil_serve(struct evil *evil);

/* 0 when it worked, else errno; *count is what it counted. It may be the end of the process. */
int evil_try(struct evil *evil, const char *name, long number, long *count);

/* An abstract stream socket, connected, or -1. */
int evil_connect(const char *name);

#endif
