/* SPDX-License-Identifier: MIT */
/*
 * One viewer's connection, and the two threads that serve it:
 *
 *   home  the first thread. Talks to voletd and volet-cam, watches every deadline and the
 *         viewer's socket for hang-up, runs GStreamer's bus. Never waits for the other.
 *   net   reads requests, and may wait: for voletd's answer, for a pipeline to come up.
 *
 * GStreamer's own threads come and go below. The session belongs to home.
 */
#ifndef VOLET_RTSP_VIEWER_H
#define VOLET_RTSP_VIEWER_H

#include <gst/rtsp-server/rtsp-server.h>
#include "feeder.h"
#include "session.h"
#include "writer.h"

enum answer {
	ANSWER_NONE,
	ANSWER_NONCE,
	ANSWER_DENIED,
	ANSWER_GRANTED,
	ANSWER_UDP
};

/* A question of net to voletd, asked and answered by home. */
struct desk {
	GMutex lock;
	GCond answered;
	enum answer answer;
	char nonce[VOLET_NONCE_MAX];
	enum volet_denied denied;
	unsigned int tries_left;
	struct volet_ctl_granted grant;
	struct volet_frame_memory layout;
	unsigned int server_port;
	int packets;
};

/* What net knows of the conversation; nobody else touches it. */
struct talk {
	char nonce[VOLET_NONCE_MAX];	/* "" : none is asked for yet */
	bool granted;
	char viewer[VOLET_NAME_MAX], camera[VOLET_NAME_MAX];
	char profile[VOLET_NAME_MAX];	/* as the URL has it: "" is the camera's first */
	char *session;			/* RTSP's session id, after SETUP */
	GstRTSPMessage *described;	/* what the server answered to DESCRIBE; NULL: nothing yet */
	unsigned int udp_client, udp_server;	/* ports of RTP over UDP; 0: none was asked for */
	bool udp_denied, torn_down;
};

struct viewer {
	int socket;
	GMainContext *home, *net;
	struct session *session;	/* home's */
	uint64_t stuck_ns;		/* home's: a frame's age in here that is a fault of ours */
	struct desk desk;
	struct talk talk;		/* net's */
	struct feeder *feeder;
	struct writer *writer;
	GstRTSPThreadPool *pool;
	GstRTSPConnection *connection;
	GstRTSPWatch *watch;
	GstRTSPClient *client;
	GstRTSPMountPoints *mounts;
	GstRTSPStreamTransport *transport;	/* set before PLAY */
	GMutex lock;			/* of what follows */
	char *pending_cseq;		/* of a request that net is working on */
	bool playing;
	bool udp;			/* RTP goes by UDP: only requests and reports tell of the viewer */
	gint64 heard;			/* monotonic time of the newest request or report */
	enum volet_reason end_reason;	/* of viewer_end() */
	const char *end_why;
};

/*
 * main.c, for net: home ends the process as soon as net is done with what it does now (an
 * answer may follow this call). The first reason counts, even if the viewer hangs up first.
 */
void viewer_end(struct viewer *viewer, enum volet_reason reason, const char *why);

/* desk.c: for net, these wait; for home, session_ops. */
enum answer desk_ask_nonce(struct viewer *viewer);
enum answer desk_authenticate(struct viewer *viewer, const struct volet_ctl_auth *auth);
enum answer desk_ask_udp(struct viewer *viewer, unsigned int client_port);
void desk_nonce(void *viewer, const char *nonce);
void desk_denied(void *viewer, enum volet_denied why, unsigned int tries_left);
void desk_granted(void *viewer, const struct volet_ctl_granted *grant,
		  const struct volet_frame_memory *layout);
void desk_udp(void *viewer, unsigned int server_port, int packets);

/*
 * auth.c: is this request one of a viewer who may see `camera` (NULL: the URL names none) as
 * `profile`? If not, it was answered.
 */
bool auth_request(struct viewer *viewer, GstRTSPMessage *request, const char *method,
		  const char *camera, const char *profile);

/* gate.c: connection and server, and every request's way to it. */
bool gate_open(struct viewer *viewer, char why[SESSION_WHY_MAX]);
void gate_reply(struct viewer *viewer, GstRTSPStatusCode code, GstRTSPMessage *request,
		const char *header, const char *value);
/* transport.c: where RTP goes. */

/*
 * The first offer of a SETUP that is spoken here, in the one form that the server gets to see
 * (for RTP over UDP too: voletd has agreed, and volet-udp is there). NULL when there is none.
 */
char *transport_choose(struct viewer *viewer, const GstRTSPMessage *request);

/* In the server's answer to SETUP: what was really agreed on. */
void transport_answer(const struct viewer *viewer, GstRTSPMessage *answer);

/* home: a request that net still works on, answered 503 because there is no picture. */
void gate_no_picture(struct viewer *viewer);

/*
 * path.c: the first two path components of an rtsp URL, the second "" when it isn't there; false
 * when they can't name a camera and a profile.
 */
bool path_names(const char *uri, char camera[VOLET_NAME_MAX], char profile[VOLET_NAME_MAX]);

#endif
