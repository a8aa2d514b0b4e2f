// SPDX-License-Identifier: MIT
/* The client's side of the session protocol; see session.h. */
#include "session.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "msg.h"

enum stage {
	STAGE_IDLE,		/* nothing asked */
	STAGE_NONCE,		/* GET_NONCE sent */
	STAGE_AUTH,		/* AUTH sent */
	STAGE_MEMORY,		/* granted, frame memory not there yet */
	STAGE_GRANTED,
	STAGE_ENDED
};

struct session {
	const struct session_ops *ops;
	void *data;
	GMainContext *context;
	int control, frames;
	GSource *control_source, *frames_source, *deadline, *second;
	enum stage stage;
	struct volet_ctl_auth asked;
	struct volet_ctl_granted grant;
	struct session_memory memory;
	struct session_rules rules;
	bool udp_asked;		/* and not yet answered */
	bool need_key;		/* until a key frame comes, what comes can't be decoded */
	uint64_t generation[VOLET_SLOTS_MAX];	/* of what is held */
	struct volet_ctl_sent sent;
	char name[2 * VOLET_NAME_MAX + 2 * sizeof(struct volet_id) + 3];
};

uint64_t session_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void drop_source(GSource **source)
{
	if (*source) {
		g_source_destroy(*source);
		g_source_unref(*source);
	}
	*source = NULL;
}

/* Nothing more is read, and what is mapped stays: the caller may still be sending from it. */
static void close_channels(struct session *s)
{
	drop_source(&s->control_source);
	drop_source(&s->frames_source);
	drop_source(&s->deadline);
	drop_source(&s->second);
	if (s->control >= 0)
		close(s->control);
	if (s->frames >= 0)
		close(s->frames);
	s->control = s->frames = -1;
}

void session_end(struct session *s, enum volet_reason reason, const char *format, ...)
{
	struct volet_ctl leave = { .type = VOLET_CTL_LEAVE, .end.reason = reason };
	char why[SESSION_WHY_MAX];
	va_list args;

	if (s->stage == STAGE_ENDED)
		return;
	s->stage = STAGE_ENDED;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	s->ops->ended(s->data, reason, why);
	if (s->control >= 0)
		(void)msg_send(s->control, &leave, sizeof(leave), NULL, 0);
	close_channels(s);
	s->ops->left(s->data, reason);
}

static GSource *add_timer(struct session *s, unsigned int ms, GSourceFunc func)
{
	GSource *source = g_timeout_source_new(ms);

	g_source_set_callback(source, func, s, NULL);
	g_source_attach(source, s->context);
	return source;
}

static gboolean answer_missing(gpointer data)
{
	struct session *s = data;

	if (s->stage == STAGE_MEMORY)
		session_end(s, VOLET_REASON_CAMERA_GONE, "no frame memory %d s after the grant",
			    SESSION_ANSWER_MS / 1000);
	else
		session_end(s, VOLET_REASON_INTERNAL, "voletd has not answered for %d s",
			    SESSION_ANSWER_MS / 1000);
	return G_SOURCE_REMOVE;
}

static gboolean frame_missing(gpointer data)
{
	session_end(data, VOLET_REASON_NO_FRAME, "the camera gave no frame for %d s",
		    SESSION_NO_FRAME_MS / 1000);
	return G_SOURCE_REMOVE;
}

static void set_deadline(struct session *s, unsigned int ms, GSourceFunc func)
{
	drop_source(&s->deadline);
	if (func)
		s->deadline = add_timer(s, ms, func);
}

/* ---- control ------------------------------------------------------------------------ */

static void ask(struct session *s, const struct volet_ctl *msg, enum stage next)
{
	int ret;

	if (s->stage != STAGE_IDLE) {
		session_end(s, VOLET_REASON_INTERNAL, "a question to voletd in stage %d", s->stage);
		return;
	}
	ret = msg_send(s->control, msg, sizeof(*msg), NULL, 0);
	if (ret < 0) {
		session_end(s, VOLET_REASON_SHUTDOWN, "voletd is gone: %s", strerror(-ret));
		return;
	}
	s->stage = next;
	set_deadline(s, SESSION_ANSWER_MS, answer_missing);
}

void session_ask_nonce(struct session *s)
{
	struct volet_ctl msg = { .type = VOLET_CTL_GET_NONCE };

	ask(s, &msg, STAGE_NONCE);
}

void session_authenticate(struct session *s, const struct volet_ctl_auth *auth)
{
	struct volet_ctl msg = { .type = VOLET_CTL_AUTH, .auth = *auth };

	s->asked = *auth;
	ask(s, &msg, STAGE_AUTH);
}

void session_ask_udp(struct session *s, unsigned int client_port)
{
	struct volet_ctl msg = { .type = VOLET_CTL_UDP, .udp.client_port = (uint16_t)client_port };
	int ret;

	/* The deadline is the answer's: no frame has one now. */
	if (s->stage != STAGE_GRANTED || s->udp_asked || s->rules.started_ns) {
		session_end(s, VOLET_REASON_INTERNAL, "asked for UDP in stage %d", s->stage);
		return;
	}
	ret = msg_send(s->control, &msg, sizeof(msg), NULL, 0);
	if (ret < 0) {
		session_end(s, VOLET_REASON_SHUTDOWN, "voletd is gone: %s", strerror(-ret));
		return;
	}
	s->udp_asked = true;
	set_deadline(s, SESSION_ANSWER_MS, answer_missing);
}

static void udp_answered(struct session *s, unsigned int server_port, int packets)
{
	s->udp_asked = false;
	set_deadline(s, 0, NULL);
	s->ops->udp(s->data, server_port, packets);
}

void session_ask_local(struct session *s, const char *name, const char *camera,
		       const char *profile)
{
	struct volet_ctl msg = { .type = VOLET_CTL_LOCAL };

	g_strlcpy(s->asked.viewer, name, sizeof(s->asked.viewer));
	g_strlcpy(s->asked.camera, camera, sizeof(s->asked.camera));
	g_strlcpy(s->asked.profile, profile, sizeof(s->asked.profile));
	memcpy(msg.local.camera, s->asked.camera, sizeof(msg.local.camera));
	memcpy(msg.local.profile, s->asked.profile, sizeof(msg.local.profile));
	ask(s, &msg, STAGE_AUTH);
}

static gboolean report_sent(gpointer data)
{
	struct session *s = data;
	struct volet_ctl msg = { .type = VOLET_CTL_SENT, .sent = s->sent };
	int ret = msg_send(s->control, &msg, sizeof(msg), NULL, 0);

	if (ret < 0 && ret != -EAGAIN) {
		session_end(s, VOLET_REASON_SHUTDOWN, "voletd is gone: %s", strerror(-ret));
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static gboolean frames_ready(gint fd, GIOCondition condition, gpointer data);

static GSource *watch_channel(struct session *s, int fd, GUnixFDSourceFunc func)
{
	GSource *source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP | G_IO_ERR);

	g_source_set_callback(source, G_SOURCE_FUNC(func), s, NULL);
	g_source_attach(source, s->context);
	return source;
}

static void name_session(struct session *s)
{
	size_t i, n = (size_t)snprintf(s->name, sizeof(s->name), "%s/%s/", s->grant.camera,
				       s->grant.viewer);

	for (i = 0; i < sizeof(s->grant.session.b); i++, n += 2)
		snprintf(s->name + n, sizeof(s->name) - n, "%02x", s->grant.session.b[i]);
}

static void hand_up(struct session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_BUFFERS };
	int fds[VOLET_BUFFERS_MAX];
	int ret;

	s->ops->buffers(s->data, &msg.buffers, fds);
	ret = msg_send(s->frames, &msg, sizeof(msg), fds, msg.buffers.n);
	if (ret < 0)
		session_end(s, VOLET_REASON_CAMERA_GONE, "volet-cam is gone: %s", strerror(-ret));
}

static void granted(struct session *s, const struct volet_ctl_granted *grant, int frames)
{
	struct volet_ctl_granted wanted = *grant;

	s->frames = frames;
	if (!msg_text_ok(grant->viewer, sizeof(grant->viewer)) || !msg_name_ok(grant->viewer) ||
	    !msg_text_ok(grant->camera, sizeof(grant->camera)) || !msg_name_ok(grant->camera) ||
	    !msg_text_ok(grant->profile, sizeof(grant->profile)) || !msg_name_ok(grant->profile)) {
		session_end(s, VOLET_REASON_PROTOCOL, "a grant without proper names");
		return;
	}
	memcpy(wanted.camera, s->asked.camera, sizeof(wanted.camera));
	if (s->asked.profile[0])
		memcpy(wanted.profile, s->asked.profile, sizeof(wanted.profile));
	s->grant = *grant;
	name_session(s);
	if (!session_is_granted(&wanted, &grant->session, grant->camera, grant->profile)) {
		session_end(s, VOLET_REASON_FOREIGN_FRAME, "asked for %s/%s, was granted %s/%s",
			    s->asked.camera, s->asked.profile, grant->camera, grant->profile);
		return;
	}
	if (strcmp(grant->viewer, s->asked.viewer) != 0 || grant->age_limit_ms == 0) {
		session_end(s, VOLET_REASON_PROTOCOL, "a grant for viewer %s with age limit %u ms",
			    grant->viewer, grant->age_limit_ms);
		return;
	}
	s->stage = STAGE_MEMORY;
	s->frames_source = watch_channel(s, frames, frames_ready);
	s->second = add_timer(s, 1000, report_sent);
	set_deadline(s, SESSION_ANSWER_MS, answer_missing);
	if (s->ops->buffers)
		hand_up(s);
}

/* What voletd may say at each stage; anything else is a protocol error. */
static void control_message(struct session *s, const struct volet_ctl *msg,
			    int fds[MSG_FDS_MAX], unsigned int n_fds)
{
	enum stage was = s->stage;
	bool brings = (msg->type == VOLET_CTL_GRANTED && was == STAGE_AUTH) ||
		      (msg->type == VOLET_CTL_UDP_OPEN && s->udp_asked);

	if (n_fds != (brings ? 1 : 0)) {
		msg_close_fds(fds);
		session_end(s, VOLET_REASON_PROTOCOL, "message %u of voletd with %u descriptors",
			    msg->type, n_fds);
	} else if (msg->type == VOLET_CTL_END) {
		session_end(s, msg->end.reason < VOLET_REASON_COUNT ? msg->end.reason :
			    VOLET_REASON_PROTOCOL, "voletd said so");
	} else if (msg->type == VOLET_CTL_NONCE && was == STAGE_NONCE &&
		   msg_text_ok(msg->nonce.nonce, sizeof(msg->nonce.nonce))) {
		s->stage = STAGE_IDLE;
		set_deadline(s, 0, NULL);
		s->ops->nonce(s->data, msg->nonce.nonce);
	} else if (msg->type == VOLET_CTL_DENIED && was == STAGE_AUTH) {
		s->stage = STAGE_IDLE;
		set_deadline(s, 0, NULL);
		s->ops->denied(s->data, msg->denied.why, msg->denied.tries_left);
	} else if (msg->type == VOLET_CTL_GRANTED && was == STAGE_AUTH) {
		granted(s, &msg->granted, fds[0]);
	} else if (msg->type == VOLET_CTL_UDP_OPEN && s->udp_asked) {
		udp_answered(s, msg->udp.server_port, fds[0]);
	} else if (msg->type == VOLET_CTL_DENIED && s->udp_asked) {
		udp_answered(s, 0, -1);
	} else {
		session_end(s, VOLET_REASON_PROTOCOL, "message %u of voletd in stage %d",
			    msg->type, was);
	}
}

static gboolean control_ready(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
	struct session *s = data;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	struct volet_ctl msg;
	int ret = msg_recv(fd, &msg, sizeof(msg), fds, &n_fds);

	if (ret == 0)
		control_message(s, &msg, fds, n_fds);
	else if (ret == -EPROTO)
		session_end(s, VOLET_REASON_PROTOCOL, "a message of voletd of a wrong size");
	else if (ret != -EAGAIN)
		session_end(s, VOLET_REASON_SHUTDOWN, "voletd is gone: %s", strerror(-ret));
	return s->stage == STAGE_ENDED ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* ---- frames ------------------------------------------------------------------------- */

static void send_frames(struct session *s, const struct volet_frame *msg)
{
	int ret;

	if (s->stage != STAGE_GRANTED)
		return;
	ret = msg_send(s->frames, msg, sizeof(*msg), NULL, 0);
	if (ret < 0)
		session_end(s, VOLET_REASON_CAMERA_GONE, "volet-cam is gone: %s", strerror(-ret));
}

void session_start(struct session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_START };

	s->rules.started_ns = session_now_ns();
	s->need_key = s->memory.layout.codec == VOLET_CODEC_H264;
	send_frames(s, &msg);
	if (s->stage == STAGE_GRANTED)
		set_deadline(s, SESSION_NO_FRAME_MS, frame_missing);
}

void session_stop(struct session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_STOP };

	if (!s->rules.started_ns)
		return;
	s->rules.started_ns = 0;
	s->rules.restarted = true;
	set_deadline(s, 0, NULL);
	send_frames(s, &msg);
}

void session_need_key(struct session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_NEED_KEY };

	if (s->memory.layout.codec != VOLET_CODEC_H264 || !s->rules.started_ns || s->need_key)
		return;
	s->need_key = true;
	send_frames(s, &msg);
}

void session_release(struct session *s, uint32_t slot, uint64_t generation)
{
	struct volet_frame msg = { .type = VOLET_FRAME_RELEASE,
				   .release = { .generation = generation, .slot = slot } };

	if (slot >= VOLET_SLOTS_MAX || !(s->rules.held & (1u << slot)) ||
	    s->generation[slot] != generation) {
		session_end(s, VOLET_REASON_STALE_SLOT, "release of slot %u, which is not held",
			    slot);
		return;
	}
	s->rules.held &= ~(1u << slot);
	send_frames(s, &msg);
}

static void memory_message(struct session *s, const struct volet_frame_memory *layout, int fd)
{
	char why[SESSION_WHY_MAX];
	bool ok;

	if (!msg_text_ok(layout->camera, sizeof(layout->camera)) ||
	    !msg_text_ok(layout->profile, sizeof(layout->profile)) ||
	    !session_is_granted(&s->grant, &layout->session, layout->camera, layout->profile)) {
		close(fd);
		session_end(s, VOLET_REASON_FOREIGN_FRAME,
			    "frame memory of another session, camera or profile (%.*s/%.*s)",
			    VOLET_NAME_MAX - 1, layout->camera, VOLET_NAME_MAX - 1, layout->profile);
		return;
	}
	ok = session_memory_map(&s->memory, layout, fd, why);
	close(fd);
	if (!ok) {
		session_end(s, VOLET_REASON_PROTOCOL, "%s", why);
		return;
	}
	s->stage = STAGE_GRANTED;
	set_deadline(s, 0, NULL);
	s->ops->granted(s->data, &s->grant, &s->memory.layout);
}

static void ready_message(struct session *s, const struct volet_frame_stamp *stamp)
{
	struct session_check check = session_check_frame(&s->rules, stamp, session_now_ns());

	if (check.verdict == SESSION_FRAME_WRONG) {
		session_end(s, check.reason, "%s", check.why);
		return;
	}
	s->rules.last_generation = stamp->generation;
	s->rules.held |= 1u << stamp->slot;
	s->generation[stamp->slot] = stamp->generation;
	if (stamp->flags & VOLET_STAMP_KEY)
		s->need_key = false;
	if (check.verdict == SESSION_FRAME_LATE || s->need_key) {
		s->sent.dropped++;
		session_release(s, stamp->slot, stamp->generation);
		session_need_key(s);
		return;
	}
	set_deadline(s, SESSION_NO_FRAME_MS, frame_missing);
	s->ops->frame(s->data, stamp, s->memory.layout.codec == VOLET_CODEC_XRGB_HANDED ? NULL :
		      session_memory_slot(&s->memory, stamp->slot) + VOLET_SLOT_PAYLOAD);
}

static void frames_message(struct session *s, const struct volet_frame *msg,
			   int fds[MSG_FDS_MAX], unsigned int n_fds)
{
	bool memory = msg->type == VOLET_FRAME_MEMORY && s->stage == STAGE_MEMORY;

	if (n_fds != (memory ? 1 : 0)) {
		msg_close_fds(fds);
		session_end(s, VOLET_REASON_PROTOCOL, "message %u of volet-cam with %u descriptors",
			    msg->type, n_fds);
	} else if (memory) {
		memory_message(s, &msg->memory, fds[0]);
	} else if (msg->type == VOLET_FRAME_READY && s->stage == STAGE_GRANTED) {
		ready_message(s, &msg->ready);
	} else if (msg->type == VOLET_FRAME_END) {
		session_end(s, msg->end.reason < VOLET_REASON_COUNT ? msg->end.reason :
			    VOLET_REASON_PROTOCOL, "volet-cam said so");
	} else {
		session_end(s, VOLET_REASON_PROTOCOL, "message %u of volet-cam in stage %d",
			    msg->type, s->stage);
	}
}

static gboolean frames_ready(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
	struct session *s = data;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	struct volet_frame msg;
	int ret = msg_recv(fd, &msg, sizeof(msg), fds, &n_fds);

	if (ret == 0)
		frames_message(s, &msg, fds, n_fds);
	else if (ret == -EPROTO)
		session_end(s, VOLET_REASON_PROTOCOL, "a message of volet-cam of a wrong size");
	else if (ret != -EAGAIN)
		session_end(s, VOLET_REASON_CAMERA_GONE, "volet-cam is gone: %s", strerror(-ret));
	return s->stage == STAGE_ENDED ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* ---- the whole ---------------------------------------------------------------------- */

struct session *session_new(int control, const struct session_ops *ops, void *data,
			    GMainContext *context)
{
	struct session *s = g_new0(struct session, 1);

	s->ops = ops;
	s->data = data;
	s->context = context;
	s->control = control;
	s->frames = -1;
	s->rules.grant = &s->grant;
	s->rules.memory = &s->memory;
	strcpy(s->name, "-");
	s->control_source = watch_channel(s, control, control_ready);
	return s;
}

void session_free(struct session *s)
{
	close_channels(s);
	session_memory_unmap(&s->memory);
	g_free(s);
}

void session_count_sent(struct session *s, uint64_t bytes, uint64_t age_ns)
{
	s->sent.frames++;
	s->sent.bytes += bytes;
	s->sent.last_age_ns = age_ns;
}

void session_count_dropped(struct session *s)
{
	s->sent.dropped++;
}

const struct volet_ctl_sent *session_figures(const struct session *s)
{
	return &s->sent;
}

const char *session_name(const struct session *s)
{
	return s->name;
}
