/* SPDX-License-Identifier: MIT */
/*
 * Port pairs for RTP over UDP: an even one for RTP, the next for RTCP. Each is one session's
 * alone, and one that was used comes back only when its quarantine is over, so that what an
 * old client still sends, or an old router still forwards, finds nobody there.
 */
#ifndef VOLET_PORTS_H
#define VOLET_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define PORTS_QUARANTINE_NS	(30 * 1000000000LL)

/* Of every pair there is, by its number; memory that is never touched costs nothing. */
struct ports {
	unsigned int next;
	bool taken[32768];
	int64_t free_ns[32768];		/* not before this time */
};

/* The even port of a pair within first..last that is nobody's now, or 0 when there is none. */
unsigned int ports_take(struct ports *ports, unsigned int first, unsigned int last,
			int64_t now_ns);

/* Its sockets are closed, or there could be none. */
void ports_give_back(struct ports *ports, unsigned int port, int64_t now_ns);

#endif
