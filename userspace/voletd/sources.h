/* SPDX-License-Identifier: MIT */
/*
 * Who may connect: how many connections that haven't authenticated are open, from where,
 * and where wrong credentials came from lately. A source is an IPv4 address, or the first
 * 64 bits of an IPv6 one, which is what one customer has.
 *
 * Wrong answers are a debt that is paid off with time: ten at once, then one each 30 s. It
 * isn't forgiven when a right one comes, which may be somebody else's behind the same address.
 */
#ifndef VOLET_SOURCES_H
#define VOLET_SOURCES_H

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>
#include "config.h"

#define SOURCES_WRONG_BURST	10
#define SOURCES_WRONG_NS	(30 * 1000000000LL)

struct source {
	char name[64];
	unsigned int unauthenticated;
	int64_t debt_ns;		/* paid off at this time */
};

struct sources {
	GHashTable *table;		/* struct source * by its name */
	unsigned int unauthenticated;	/* of all */
	int64_t swept_ns;
};

void sources_init(struct sources *sources);
void sources_clear(struct sources *sources);

/*
 * Why a connection is refused, or NULL: then it counts as unauthenticated until
 * sources_release(), and *source is its source until then. `random` is any 32 random bits:
 * from half of the limit on, more and more are refused, so that who fills the places
 * can't know that the next one is theirs.
 */
const char *sources_admit(struct sources *sources, const struct volet_config *config,
			  const struct sockaddr *address, uint32_t random, int64_t now_ns,
			  struct source **source);

/* The connection was granted a camera, or is gone. */
void sources_release(struct sources *sources, struct source *source);

/* False while too many wrong answers came from there. */
bool sources_may_try(const struct source *source, int64_t now_ns);
void sources_wrong(struct source *source, int64_t now_ns);

#endif
