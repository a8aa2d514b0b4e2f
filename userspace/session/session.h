/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the session protocol: what every session program shares. It talks
 * to voletd on the control channel and, once granted, to volet-cam on the frames channel;
 * checks everything that comes; keeps the deadlines; and reports by callbacks, all in the
 * one thread that runs `context`, from which alone every function here is called.
 *
 * Whatever goes wrong ends the session, once: ops->ended(), voletd is told (LEAVE),
 * ops->left(), and no further callback comes. The caller's part is to exit.
 */
#ifndef VOLET_SESSION_H
#define VOLET_SESSION_H

#include <glib.h>
#include "memory.h"

#define SESSION_NO_FRAME_MS	5000	/* START, or the newest frame, to the next frame */
#define SESSION_ANSWER_MS	10000	/* question to answer; grant to memory */

struct session;

struct session_ops {
	void (*nonce)(void *data, const char *nonce);
	void (*denied)(void *data, enum volet_denied why, unsigned int tries_left);
	/*
	 * A display's alone, NULL otherwise: granted, and it may hand up buffers to be filled.
	 * Descriptors (as many as `buffers->n` is set to) stay the caller's.
	 */
	void (*buffers)(void *data, struct volet_frame_buffers *buffers, int fds[VOLET_BUFFERS_MAX]);
	/* Granted, and the frame memory is mapped: START may be asked for. */
	void (*granted)(void *data, const struct volet_ctl_granted *grant,
			const struct volet_frame_memory *layout);
	/* RTP over UDP: the channel for its packets, the callee's, or -1: denied. */
	void (*udp)(void *data, unsigned int server_port, int packets);
	/*
	 * A frame that is this session's and fresh. The payload stays as it is until
	 * session_release() of this slot and generation. It is NULL when the frame is in the
	 * buffer of the slot's number that was handed up.
	 */
	void (*frame)(void *data, const struct volet_frame_stamp *stamp, const uint8_t *payload);
	/* The last words to the viewer go here: once voletd knows, the connection is cut. */
	void (*ended)(void *data, enum volet_reason reason, const char *why);
	/* voletd knows. */
	void (*left)(void *data, enum volet_reason reason);
};

/* Takes `control` over. `ops` and `data` live longer than the session. */
struct session *session_new(int control, const struct session_ops *ops, void *data,
			    GMainContext *context);
void session_free(struct session *session);

/* Questions to voletd; one at a time, answered by a callback. */
void session_ask_nonce(struct session *session);
void session_authenticate(struct session *session, const struct volet_ctl_auth *auth);

/* Once granted, and before the first START: RTP over UDP to this port and the next. */
void session_ask_udp(struct session *session, unsigned int client_port);

/*
 * The one question of a local session, whose `name` is that of its [display] or [local] group;
 * answered by granted() or denied().
 */
void session_ask_local(struct session *session, const char *name, const char *camera,
		       const char *profile);

/* Frames captured from now on; none from now on. */
void session_start(struct session *session);
void session_stop(struct session *session);
void session_release(struct session *session, uint32_t slot, uint64_t generation);

/* A frame was lost after it had come: nothing comes before the next key frame. No-op for JPEG. */
void session_need_key(struct session *session);

/* The figures voletd gets once a second. */
void session_count_sent(struct session *session, uint64_t bytes, uint64_t age_ns);
void session_count_dropped(struct session *session);
const struct volet_ctl_sent *session_figures(const struct session *session);

/* End it, for a reason of the caller's. */
void session_end(struct session *session, enum volet_reason reason, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/* The session's name in full, for logs: "-" or "camera/viewer/session id". */
const char *session_name(const struct session *session);

/* CLOCK_MONOTONIC */
uint64_t session_now_ns(void);

#endif
