/* SPDX-License-Identifier: MIT */
/*
 * A digest nonce belongs to one connection: it is kept in that connection's session and
 * compared with nothing else, so one that was overheard is worth nothing elsewhere. It
 * has to be used with success within 30 s, and then serves for a bounded number of requests.
 */
#ifndef VOLET_NONCE_H
#define VOLET_NONCE_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol.h"

#define NONCE_FIRST_NS	(30 * 1000000000LL)
#define NONCE_USES_MAX	1000

struct nonce {
	char text[VOLET_NONCE_MAX];	/* empty: none was given */
	int64_t made_ns;
	unsigned int uses;
	bool proven;			/* a right response came with it */
};

bool nonce_make(struct nonce *nonce, int64_t now_ns);

/* Count one use; false when `text` isn't this nonce, or it has expired or is used up. */
bool nonce_use(struct nonce *nonce, const char *text, int64_t now_ns);

#endif
