/* SPDX-License-Identifier: MIT */
/*
 * A bench for voletd: a daemon of which every peer is the test. volet-spawn is the other
 * end of a socket pair, cameras and session programs are the descriptors that it is asked
 * to start, and each viewer is a real TCP connection on the loopback interface.
 */
#ifndef VOLET_TEST_BENCH_H
#define VOLET_TEST_BENCH_H

#include <glib.h>
#include "daemon.h"

#define BENCH_CAMERAS 2

struct bench {
	struct volet_config *config;	/* the daemon's, until it reads another */
	struct daemon *daemon;
	GMainLoop *loop;
	int spawn;			/* volet-spawn's end */
	int bus[BENCH_CAMERAS];		/* volet-cam's ends */
	uint32_t cam_child[BENCH_CAMERAS];
};

/* One connection, with the viewer's, the session program's and volet-cam's ends. */
struct viewer {
	struct bench *bench;
	int tcp;
	int control;
	int handed;			/* the socket as the program got it */
	uint32_t child;
	char nonce[VOLET_NONCE_MAX];
	int frames;			/* of the session program, once granted; -1 before */
	struct volet_id session;
};

extern const char bench_configuration[];

/* Viewers alice (cam0) and bob (cam0, cam1), password "secret"; both cameras are ready. */
struct bench *bench_new(void);
void bench_free(struct bench *bench);

/* Let voletd do all that there is to do. */
void bench_settle(void);

/* Let it go on until it has no more sessions than this; for 20 s at most. */
void bench_run(const struct bench *bench, unsigned int sessions);

/* The next message of voletd to volet-spawn; .type is 0 when there is none. */
struct volet_spawn bench_spawn(struct bench *bench, int fds[MSG_FDS_MAX]);
void bench_exited(struct bench *bench, uint32_t child, int status);

/* The next message to a camera; .type is 0 when there is none, *fd its descriptor or -1. */
struct volet_bus bench_bus(struct bench *bench, unsigned int camera, int *fd);
void bench_bus_say(struct bench *bench, unsigned int camera, const struct volet_bus *msg);

/* Takes voletd's request to start a camera, as volet-spawn would. */
void bench_take_camera(struct bench *bench, unsigned int camera);
void bench_ready(struct bench *bench, unsigned int camera);

/* `from` is an address in 127.0.0.0/8. */
struct viewer bench_connect(struct bench *bench, const char *from);
void viewer_close(struct viewer *viewer);

void viewer_say(struct viewer *viewer, const struct volet_ctl *msg);
struct volet_ctl viewer_hear(struct viewer *viewer, int *fd);

/* Ask for a nonce and keep it. */
void viewer_nonce(struct viewer *viewer);

/* An AUTH with the viewer's nonce and a right response for `password`. */
struct volet_ctl viewer_auth_msg(const struct viewer *viewer, const char *name,
				 const char *password, const char *camera);

/* Send it and return the answer; keeps what was granted. */
struct volet_ctl viewer_auth(struct viewer *viewer, const char *name, const char *password,
			     const char *camera);

/* alice on cam0, granted; takes the BUS_GRANT from the camera. */
struct viewer bench_granted(struct bench *bench);

/* The whole end was seen: killed, reset, forgotten; and the camera told why, when granted. */
void viewer_assert_ended(struct viewer *viewer, enum volet_reason reason);
void viewer_assert_alive(struct viewer *viewer);

/* A connection to a local socket of voletd's. */
int bench_call(const char *path);

/* `part` is somewhere in `text`, or both are shown. */
void bench_assert_has(const char *text, const char *part);

#endif
