/* SPDX-License-Identifier: MIT */
/*
 * A voletd and a camera for tests, without either: accepts connections, starts the real
 * session program on each, and plays both of its channels, well or with a chosen fault.
 */
#ifndef VOLET_TEST_FAKE_H
#define VOLET_TEST_FAKE_H

#include <stdbool.h>
#include <glib.h>
#include "protocol.h"

enum fake_fault {
	FAKE_GOOD,
	FAKE_NO_FRAMES,		/* START is heard and nothing comes */
	FAKE_FOREIGN_SESSION,	/* frames of another session */
	FAKE_FOREIGN_CAMERA,	/* frames of another camera */
	FAKE_FOREIGN_SLOT,	/* right message, another camera's slot */
	FAKE_BEFORE_START,	/* a frame from before START */
	FAKE_OLD,		/* frames past the age limit */
	FAKE_STALE,		/* a generation twice */
	FAKE_SHORT_MEMORY,
	FAKE_UNSEALED_MEMORY,
	FAKE_END,		/* voletd says END 300 ms after START */
	FAKE_CAMERA_HANGUP,	/* volet-cam hangs up 300 ms after START */
	FAKE_NO_NONCE		/* GET_NONCE is never answered */
};

struct fake_config {
	const char *program;
	const char *password;		/* of viewer "alice", who may see "cam0" */
	enum fake_fault fault;
	unsigned int fps;
	unsigned int frame_bytes;	/* of the scan; 0: a real picture, as a JPEG */
	unsigned int age_limit_ms;
	bool h264;			/* real pictures, as H.264 */
	bool stale_first;		/* the first right credentials are answered STALE */
	/* What stands before the program: gives its byte stream for a connection, which it takes. */
	int (*front)(void *data, int tcp);
	void *front_data;
};

/* What the payload's scan begins with when frame_bytes isn't 0. */
struct fake_scan {
	char magic[8];			/* "VOLETSCN" */
	char camera[8];
	uint64_t sequence, captured_ns;
};

/* How it was, after fake_wait(). */
struct fake_result {
	int status;			/* wait status of the program */
	unsigned int reason;		/* of LEAVE; VOLET_REASON_COUNT: there was none */
	struct volet_ctl_sent sent;	/* the newest */
	unsigned int nonces, auths, starts, stops, leaves, announced, need_keys;
	bool granted;
	uint64_t started_ns;		/* of the newest START */
	gint64 ended_us;		/* monotonic time of the end */
	char *log;
};

struct fake;
struct fake_session;

struct fake *fake_new(const struct fake_config *config);
unsigned int fake_port(const struct fake *fake);
void fake_free(struct fake *fake);

/* Wait for the next connection and start the program on it. */
struct fake_session *fake_accept(struct fake *fake);
GPid fake_pid(const struct fake_session *session);
/* What it has said meanwhile: wait until it is `n` nonces, starts, stops or leaves. */
const struct fake_result *fake_so_far(const struct fake_session *session);
void fake_await(const unsigned int *counter, unsigned int n);
/* Wait for the program's end. The session is gone after it; free the log. */
struct fake_result fake_wait(struct fake_session *session);

#endif
