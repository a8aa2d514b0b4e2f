/* SPDX-License-Identifier: MIT */
/*
 * The sessions that watch this camera, each with memory of its own: a memfd made for it,
 * which it can only read, and destroyed with it. A session that is slow loses its own next
 * frames and nobody else's.
 *
 * What a frame is (whose, of when) is what the capture queue stamped on it, never what the
 * session is; where the two disagree the session ends.
 *
 * Where frames are differences to the one before (H.264), a session that has lost one gets
 * no other before the next key frame, and none at all before the first.
 *
 * A display's session first hands up buffers of its own (handed.h), which are filled then.
 * Where they can't be, its frames come in its memory, and it copies.
 */
#ifndef VOLET_CAM_SESSIONS_H
#define VOLET_CAM_SESSIONS_H

#include <glib.h>

#include "memory.h"
#include "protocol.h"

/* What the camera can be seen as. */
struct sessions_profile {
	char name[VOLET_NAME_MAX];
	enum volet_codec codec;
	guint width, height;
	guint slots, slot_size;		/* 0: those of the configuration */
	guint n_parameters;
	guint8 parameters[VOLET_PARAMETERS_MAX];
};

struct sessions_config {
	const char *camera;
	guint slots, slot_size;		/* slot_size a multiple of the page size */
	const struct sessions_profile *profiles;
	guint n_profiles;
	int udmabuf;			/* borrowed, or -1 */
	/* Called each second and at the end of each session. */
	void (*report)(const struct volet_bus_session *account, gpointer data);
	gpointer data;
};

struct sessions {
	struct sessions_config config;
	GPtrArray *list;		/* struct session */
};

/* One encoded frame with the stamp of the capture queue. `data` is borrowed. */
struct session_frame {
	const char *camera;
	guint profile;
	gboolean key;
	guint64 captured_ns, sequence;
	const guint8 *data;
	gsize length;
	guint32 flags;		/* VOLET_STAMP_ */
};

void sessions_init(struct sessions *s, const struct sessions_config *config);
/* Ends all for `reason`. */
void sessions_free(struct sessions *s, enum volet_reason reason);

/* A new session on the channel `sock`, which becomes the sessions'. FALSE when it was refused. */
gboolean sessions_grant(struct sessions *s, const struct volet_bus_grant *grant, int sock);
/* FALSE when there is none of that id. */
gboolean sessions_end(struct sessions *s, const struct volet_id *id, enum volet_reason reason);

guint sessions_count(const struct sessions *s);
/* The channel of the session at `index`, for poll(2). */
int sessions_channel(const struct sessions *s, guint index);
/* Handle all that came from any of them. */
void sessions_read(struct sessions *s);

/* Whether any has said START; of this profile. */
gboolean sessions_watched(const struct sessions *s);
gboolean sessions_watch_profile(const struct sessions *s, guint profile);
/* The longest age limit of those. */
guint64 sessions_age_limit(const struct sessions *s);

/*
 * Before a frame of that moment is encoded for a profile: note who is to have it. Who should
 * and has no free slot has lost it; who waits for a key frame is to have it if it will be one.
 * FALSE when nobody is to have it.
 */
gboolean sessions_claim(struct sessions *s, guint profile, guint64 captured_ns, guint64 now,
			gboolean key);
/* Give the encoded frame to those. Whoever watches the profile and goes without has a gap. */
void sessions_deliver(struct sessions *s, const struct session_frame *frame);

/* A frame went by that nobody got: whoever watches the profile has a gap. */
void sessions_miss(struct sessions *s, guint profile);

void sessions_report(const struct sessions *s);

#endif
