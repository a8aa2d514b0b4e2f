// SPDX-License-Identifier: MIT
/* Sessions: grants, their memory and slots, frames into them; see sessions.h. */
#include "sessions.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "error.h"
#include "handed.h"
#include "msg.h"

struct slot {
	guint64 generation;	/* of the frame that the session has not released, or 0 */
	gsize used;		/* bytes from the payload's start that may not be zero */
};

/* A frame costs one, and so do START and STOP: more is a program that does something else. */
#define MESSAGES_MAX 500

struct session {
	struct volet_id id;
	char viewer[VOLET_NAME_MAX];
	char camera[VOLET_NAME_MAX];	/* of the grant */
	guint profile;			/* as well; its index */
	int sock;
	gboolean awaits_buffers;	/* of a display that has said nothing yet */
	struct handed handed;		/* a display's own buffers, one for each slot; or none */
	guint n_slots, slot_size;
	struct memory memory;
	guint64 granted_ns, age_limit_ns;
	guint64 start_ns;		/* of START, or 0 */
	guint64 generation;		/* the last that was given */
	struct slot slots[VOLET_SLOTS_MAX];
	gboolean claims;		/* is to have the frame that is being encoded */
	gboolean needs_key;		/* a difference would be one to a frame it doesn't have */
	gboolean said_large;
	guint messages;			/* since the last report, a second ago at most */
	struct volet_bus_session account;
};

static const struct sessions_profile *profile_of(const struct sessions *s,
						 const struct session *session)
{
	return &s->config.profiles[session->profile];
}

G_STATIC_ASSERT(sizeof(struct volet_frame_stamp) <= VOLET_SLOT_PAYLOAD);

static struct session *at(const struct sessions *s, guint index)
{
	return g_ptr_array_index(s->list, index);
}

static const char *name_of(const struct volet_id *id)
{
	static char text[sizeof(id->b) * 2 + 1];
	guint i;

	for (i = 0; i < sizeof(id->b); i++)
		g_snprintf(text + 2 * i, 3, "%02x", id->b[i]);
	return text;
}

static void free_session(gpointer data)
{
	struct session *session = data;

	if (session->sock >= 0)
		close(session->sock);
	memory_free(&session->memory);
	handed_free(&session->handed);
	g_free(session);
}

/* Tell the session why, as far as it still reads, and voletd what it was given. */
static void end_at(struct sessions *s, guint index, enum volet_reason reason)
{
	struct session *session = at(s, index);
	struct volet_frame msg = { .type = VOLET_FRAME_END, .end.reason = reason };

	cam_log(s->config.camera, "session %s of %s ends: %s", name_of(&session->id),
		session->viewer, volet_reason_text(reason));
	msg_send(session->sock, &msg, sizeof(msg), NULL, 0);
	session->account.ended = reason;
	s->config.report(&session->account, s->config.data);
	g_ptr_array_remove_index(s->list, index);
}

void sessions_init(struct sessions *s, const struct sessions_config *config)
{
	s->config = *config;
	s->list = g_ptr_array_new_with_free_func(free_session);
}

void sessions_free(struct sessions *s, enum volet_reason reason)
{
	while (s->list->len)
		end_at(s, s->list->len - 1, reason);
	g_ptr_array_unref(s->list);
	s->list = NULL;
}

static gboolean find(const struct sessions *s, const struct volet_id *id, guint *index)
{
	for (*index = 0; *index < s->list->len; (*index)++)
		if (!memcmp(&at(s, *index)->id, id, sizeof(*id)))
			return TRUE;
	return FALSE;
}

gboolean sessions_end(struct sessions *s, const struct volet_id *id, enum volet_reason reason)
{
	guint index;

	if (!find(s, id, &index))
		return FALSE;
	end_at(s, index, reason);
	return TRUE;
}

static gboolean refuse(const struct sessions *s, const struct volet_bus_grant *grant, int sock,
		       enum volet_reason reason, const char *why)
{
	struct volet_frame msg = { .type = VOLET_FRAME_END, .end.reason = reason };
	struct volet_bus_session account = { .session = grant->session, .ended = reason };

	cam_log(s->config.camera, "session %s refused: %s", name_of(&grant->session), why);
	if (sock >= 0) {
		msg_send(sock, &msg, sizeof(msg), NULL, 0);
		close(sock);
	}
	s->config.report(&account, s->config.data);
	return FALSE;
}

/* The first message: what the memory is, and its read-only handle, of which none is kept. */
static int send_memory(const struct sessions *s, struct session *session)
{
	const struct sessions_profile *profile = profile_of(s, session);
	struct volet_frame msg = {
		.type = VOLET_FRAME_MEMORY,
		.memory = {
			.session = session->id,
			.slots = session->n_slots,
			.slot_size = session->slot_size,
			.codec = session->handed.n ? VOLET_CODEC_XRGB_HANDED : profile->codec,
			.width = profile->width,
			.height = profile->height,
			.n_parameters = profile->n_parameters,
		},
	};
	int ret;

	g_strlcpy(msg.memory.camera, s->config.camera, sizeof(msg.memory.camera));
	g_strlcpy(msg.memory.profile, profile->name, sizeof(msg.memory.profile));
	memcpy(msg.memory.parameters, profile->parameters, profile->n_parameters);
	ret = msg_send(session->sock, &msg, sizeof(msg), &session->memory.memfd, 1);
	memory_close_memfd(&session->memory);
	return ret;
}

static gboolean find_profile(const struct sessions *s, const char *name, guint *index)
{
	for (*index = 0; *index < s->config.n_profiles; (*index)++)
		if (!strcmp(s->config.profiles[*index].name, name))
			return TRUE;
	return FALSE;
}

/* NONE when the session has its memory, and it knows. */
static enum volet_reason give_memory(const struct sessions *s, struct session *session)
{
	g_autoptr(GError) error = NULL;

	if (!memory_new(&session->memory, "volet-session",
			(gsize)session->n_slots * session->slot_size, s->config.udmabuf, &error)) {
		cam_log(s->config.camera,
			"%s: lower `slots` or `slot-size-kib`, or allow fewer sessions",
			error->message);
		return VOLET_REASON_INTERNAL;
	}
	return send_memory(s, session) ? VOLET_REASON_PROGRAM_EXIT : VOLET_REASON_NONE;
}

/* A display's first message: its buffers are filled from now on, or its memory is. */
static enum volet_reason take_buffers(const struct sessions *s, struct session *session,
				      const struct volet_frame_buffers *buffers, const int *fds,
				      guint n_fds)
{
	const struct sessions_profile *profile = profile_of(s, session);
	const char *why;
	enum handed_result result = handed_take(&session->handed, buffers, fds, n_fds,
						profile->width, profile->height, &why);

	if (result == HANDED_WRONG) {
		cam_log(s->config.camera, "session %s handed up %s", name_of(&session->id), why);
		return VOLET_REASON_PROTOCOL;
	}
	session->awaits_buffers = FALSE;
	if (result == HANDED_TAKEN) {
		session->n_slots = session->handed.n;
		session->slot_size = (guint)memory_round_up(VOLET_SLOT_PAYLOAD);
	} else {
		cam_log(s->config.camera, "session %s: its buffers are not filled, it copies: %s",
			name_of(&session->id), why);
	}
	return give_memory(s, session);
}

gboolean sessions_grant(struct sessions *s, const struct volet_bus_grant *grant, int sock)
{
	struct session *session;
	guint index, profile;
	enum volet_reason reason;

	if (sock < 0 || !msg_text_ok(grant->camera, sizeof(grant->camera)) ||
	    !msg_text_ok(grant->viewer, sizeof(grant->viewer)) ||
	    !msg_text_ok(grant->profile, sizeof(grant->profile)) || find(s, &grant->session, &index))
		return refuse(s, grant, sock, VOLET_REASON_PROTOCOL,
			      "the grant is malformed, or was made before");
	if (strcmp(grant->camera, s->config.camera))
		return refuse(s, grant, sock, VOLET_REASON_FOREIGN_FRAME,
			      "the grant is for another camera");
	if (!find_profile(s, grant->profile, &profile))
		return refuse(s, grant, sock, VOLET_REASON_FOREIGN_FRAME,
			      "the grant is for a profile that there isn't");

	session = g_new0(struct session, 1);
	session->id = session->account.session = grant->session;
	session->sock = sock;
	session->profile = profile;
	session->n_slots = profile_of(s, session)->slots ?: s->config.slots;
	session->slot_size = profile_of(s, session)->slot_size ?: s->config.slot_size;
	session->awaits_buffers = (grant->flags & VOLET_GRANT_DISPLAY) != 0;
	session->granted_ns = grant->granted_ns;
	session->age_limit_ns = grant->age_limit_ms * G_GUINT64_CONSTANT(1000000);
	g_strlcpy(session->viewer, grant->viewer, sizeof(session->viewer));
	g_strlcpy(session->camera, grant->camera, sizeof(session->camera));
	g_ptr_array_add(s->list, session);
	reason = session->awaits_buffers ? VOLET_REASON_NONE : give_memory(s, session);
	if (reason)
		end_at(s, s->list->len - 1, reason);
	return !reason;
}

guint sessions_count(const struct sessions *s)
{
	return s->list->len;
}

int sessions_channel(const struct sessions *s, guint index)
{
	return at(s, index)->sock;
}

static enum volet_reason release(struct session *session, guint slot, guint64 generation)
{
	if (slot >= session->n_slots)
		return VOLET_REASON_PROTOCOL;
	if (!generation || session->slots[slot].generation != generation)
		return VOLET_REASON_STALE_SLOT;
	session->slots[slot].generation = 0;
	return VOLET_REASON_NONE;
}

/* NONE while the session lives on. */
static enum volet_reason read_one(const struct sessions *s, struct session *session, gboolean *more)
{
	struct volet_frame msg;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv(session->sock, &msg, sizeof(msg), fds, &n_fds);

	*more = ret == 0;
	if (ret == -EAGAIN)
		return VOLET_REASON_NONE;
	if (ret)
		return ret == -EPROTO ? VOLET_REASON_PROTOCOL : VOLET_REASON_PROGRAM_EXIT;
	if (msg.type == VOLET_FRAME_BUFFERS && session->awaits_buffers) {
		enum volet_reason reason = take_buffers(s, session, &msg.buffers, fds, n_fds);

		msg_close_fds(fds);
		return reason;
	}
	msg_close_fds(fds);
	if (n_fds || session->awaits_buffers || ++session->messages > MESSAGES_MAX)
		return VOLET_REASON_PROTOCOL;
	switch (msg.type) {
	case VOLET_FRAME_START:
		session->start_ns = capture_now();
		session->needs_key = TRUE;
		return VOLET_REASON_NONE;
	case VOLET_FRAME_STOP:
		session->start_ns = 0;
		return VOLET_REASON_NONE;
	case VOLET_FRAME_NEED_KEY:
		session->needs_key = TRUE;
		return VOLET_REASON_NONE;
	case VOLET_FRAME_RELEASE:
		return release(session, msg.release.slot, msg.release.generation);
	default:
		return VOLET_REASON_PROTOCOL;
	}
}

void sessions_read(struct sessions *s)
{
	guint index = 0;

	while (index < s->list->len) {
		enum volet_reason reason;
		gboolean more;

		do {
			reason = read_one(s, at(s, index), &more);
		} while (more && !reason);
		if (reason)
			end_at(s, index, reason);
		else
			index++;
	}
}

gboolean sessions_watched(const struct sessions *s)
{
	guint index;

	for (index = 0; index < s->list->len; index++)
		if (at(s, index)->start_ns)
			return TRUE;
	return FALSE;
}

gboolean sessions_watch_profile(const struct sessions *s, guint profile)
{
	guint index;

	for (index = 0; index < s->list->len; index++)
		if (at(s, index)->start_ns && at(s, index)->profile == profile)
			return TRUE;
	return FALSE;
}

guint64 sessions_age_limit(const struct sessions *s)
{
	guint64 limit = 0;
	guint index;

	for (index = 0; index < s->list->len; index++)
		if (at(s, index)->start_ns)
			limit = MAX(limit, at(s, index)->age_limit_ns);
	return limit;
}

/* Seen after it asked and was allowed to, and not too long ago. */
static gboolean may_have(const struct session *session, guint64 captured_ns, guint64 now)
{
	return session->start_ns && captured_ns >= session->start_ns &&
	       captured_ns >= session->granted_ns && captured_ns <= now &&
	       now - captured_ns <= session->age_limit_ns;
}

static struct slot *free_slot(struct session *session)
{
	guint i;

	for (i = 0; i < session->n_slots; i++)
		if (!session->slots[i].generation)
			return &session->slots[i];
	return NULL;
}

gboolean sessions_claim(struct sessions *s, guint profile, guint64 captured_ns, guint64 now,
			gboolean key)
{
	gboolean any = FALSE;
	guint index;

	for (index = 0; index < s->list->len; index++) {
		struct session *session = at(s, index);

		if (session->profile != profile)
			continue;
		session->claims = FALSE;
		if (!may_have(session, captured_ns, now) || (session->needs_key && !key))
			continue;
		session->claims = free_slot(session) != NULL;
		session->account.lost += !session->claims;
		any = any || session->claims;
	}
	return any;
}

static gboolean fits(const struct sessions *s, struct session *session, gsize length)
{
	if (session->handed.n || length <= session->slot_size - VOLET_SLOT_PAYLOAD)
		return TRUE;
	if (!session->said_large)
		cam_log(s->config.camera,
			"a frame of %" G_GSIZE_FORMAT " KiB is larger than a slot and is dropped: "
			"raise `slot-size-kib` or lower the profile's quality or bitrate",
			length / 1024);
	session->said_large = TRUE;
	return FALSE;
}

/* Zeroes where a longer payload was. */
static void fill_payload(struct slot *slot, guint8 *where, const struct session_frame *frame)
{
	memcpy(where, frame->data, frame->length);
#ifndef VOLET_FAULT_LOOSE	/* without it, for tests only, an older frame's end stays there */
	if (slot->used > frame->length)
		memset(where + frame->length, 0, slot->used - frame->length);
#endif
	slot->used = frame->length;
}

/* The payload, and then the stamp. FALSE when the display's buffer doesn't take it. */
static gboolean fill(struct session *session, const struct session_frame *frame,
		     const struct volet_frame_stamp *stamp)
{
	guint8 *where = session->memory.map + (gsize)stamp->slot * session->slot_size;

	if (!session->handed.n)
		fill_payload(&session->slots[stamp->slot], where + VOLET_SLOT_PAYLOAD, frame);
	else if (!handed_fill(&session->handed, stamp->slot, frame->data))
		return FALSE;
	session->slots[stamp->slot].generation = stamp->generation;
	memcpy(where, stamp, sizeof(*stamp));
	return TRUE;
}

/* Given or not, needs_key says afterwards whether there is a gap. */
static enum volet_reason give(const struct sessions *s, struct session *session,
			      const struct session_frame *frame)
{
	struct slot *slot = free_slot(session);
	struct volet_frame msg = { .type = VOLET_FRAME_READY };
	struct volet_frame_stamp *stamp = &msg.ready;
	int ret;

	if (strcmp(frame->camera, session->camera))
		return VOLET_REASON_FOREIGN_FRAME;
	if (!slot || !fits(s, session, frame->length)) {
		session->account.lost++;
		session->needs_key = TRUE;
		return VOLET_REASON_NONE;
	}
	if (frame->key)
		session->needs_key = FALSE;
	stamp->session = session->id;
	g_strlcpy(stamp->camera, frame->camera, sizeof(stamp->camera));
	memcpy(stamp->profile, s->config.profiles[frame->profile].name, sizeof(stamp->profile));
	stamp->generation = ++session->generation;
	stamp->captured_ns = frame->captured_ns;
	stamp->sequence = frame->sequence;
	stamp->slot = (guint32)(slot - session->slots);
	stamp->length = (guint32)frame->length;
	stamp->flags = (frame->key ? VOLET_STAMP_KEY : 0) | frame->flags;
	if (!fill(session, frame, stamp))
		return VOLET_REASON_INTERNAL;
	ret = msg_send(session->sock, &msg, sizeof(msg), NULL, 0);
	/* The channel has room for more than there are slots: a full one is not being read. */
	if (ret)
		return ret == -EAGAIN ? VOLET_REASON_PROTOCOL : VOLET_REASON_PROGRAM_EXIT;
	session->account.frames++;
	session->account.bytes += frame->length;
	session->account.last_captured_ns = frame->captured_ns;
	if (!session->account.first_captured_ns)
		session->account.first_captured_ns = frame->captured_ns;
	return VOLET_REASON_NONE;
}

void sessions_deliver(struct sessions *s, const struct session_frame *frame)
{
	guint64 now = capture_now();
	guint index = 0;

	while (index < s->list->len) {
		struct session *session = at(s, index);
		enum volet_reason reason = VOLET_REASON_NONE;

		if (session->profile != frame->profile) {
			index++;
			continue;
		}
		/* Again: encoding took its time, and STOP may have come meanwhile. */
		if (session->claims && may_have(session, frame->captured_ns, now) &&
		    (frame->key || !session->needs_key))
			reason = give(s, session, frame);
		else
			session->needs_key = TRUE;
		session->claims = FALSE;
		if (reason)
			end_at(s, index, reason);
		else
			index++;
	}
}

void sessions_miss(struct sessions *s, guint profile)
{
	guint index;

	for (index = 0; index < s->list->len; index++) {
		if (at(s, index)->profile != profile)
			continue;
		at(s, index)->needs_key = TRUE;
		at(s, index)->claims = FALSE;
	}
}

void sessions_report(const struct sessions *s)
{
	guint index;

	for (index = 0; index < s->list->len; index++) {
		at(s, index)->messages = 0;
		s->config.report(&at(s, index)->account, s->config.data);
	}
}
