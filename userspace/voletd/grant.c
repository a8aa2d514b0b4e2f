// SPDX-License-Identifier: MIT
/*
 * Who a viewer is and what they are given. A connection is bound to one viewer, one camera
 * and one profile of it by its first right answer; from then on it can only confirm them.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "digest.h"
#include "fault.h"

#define WRONG_MAX	3
#define FRUITLESS_MAX	16

enum volet_reason grant_give_nonce(struct session *session,
				   G_GNUC_UNUSED const struct volet_ctl *msg)
{
	struct volet_ctl answer = { .type = VOLET_CTL_NONCE };
	bool ok;

	if (++session->fruitless > FRUITLESS_MAX)
		return VOLET_REASON_CREDENTIALS;
	if (!nonce_make(&session->nonce, daemon_now_ns()))
		return VOLET_REASON_INTERNAL;
	memcpy(answer.nonce.nonce, session->nonce.text, sizeof(answer.nonce.nonce));
	ok = session_answer(session, &answer, NULL);
	explicit_bzero(&answer, sizeof(answer));
	return ok ? VOLET_REASON_NONE : VOLET_REASON_PROTOCOL;
}

static enum volet_reason deny(struct session *session, enum volet_denied why)
{
	const struct volet_ctl answer = {
		.type = VOLET_CTL_DENIED,
		.denied = { .why = why, .tries_left = WRONG_MAX - session->wrong },
	};

	session->daemon->totals.denied[why]++;
	if (!session_answer(session, &answer, NULL))
		return VOLET_REASON_PROTOCOL;
	return VOLET_REASON_NONE;
}

/* Neither granted nor wrong: may be tried again, but not for ever. */
static enum volet_reason deny_fruitless(struct session *session, enum volet_denied why)
{
	if (++session->fruitless > FRUITLESS_MAX)
		return VOLET_REASON_CREDENTIALS;
	return deny(session, why);
}

static enum volet_reason deny_credentials(struct session *session, const char *why, bool last)
{
	session->wrong = last ? WRONG_MAX : session->wrong + 1;
	say("%s: denied: %s%s", session->peer, why,
	    session->wrong < WRONG_MAX ? "" : "; that was the last try");
	if (session->wrong == WRONG_MAX)
		session_refuse(session);
	return deny(session, VOLET_DENIED_CREDENTIALS);
}

/* The same work for a viewer that doesn't exist, with an answer that is never right. */
static bool response_right(const struct daemon *daemon, const struct volet_viewer_config *viewer,
			   const struct volet_ctl_auth *auth)
{
	char response[33];
	bool right;

	right = digest_response(response, viewer ? viewer->ha1 : daemon->nobody_ha1, auth->nonce,
				auth->method, auth->uri) &&
		digest_equal(response, auth->response) && viewer;
	explicit_bzero(response, sizeof(response));
	return right;
}

/* NULL when there is no such camera, or it isn't this viewer's. */
static struct camera *find_camera(const struct daemon *daemon,
				  const struct volet_viewer_config *viewer, const char *name)
{
	unsigned int i;

	if (!g_ptr_array_find_with_equal_func(viewer->cameras, name, g_str_equal, NULL))
		return NULL;
	for (i = 0; i < daemon->cameras->len; i++) {
		struct camera *camera = daemon->cameras->pdata[i];

		if (!strcmp(camera->config->name, name))
			return camera;
	}
	return NULL;
}

/* Tell the camera, then the program; each gets one end of a channel of their own. */
static enum volet_reason give(struct session *session, struct camera *camera,
			      const struct volet_ctl *answer)
{
	struct volet_bus_grant grant = {
		.session = answer->granted.session, .granted_ns = answer->granted.granted_ns,
		.age_limit_ms = answer->granted.age_limit_ms,
	};
	int pair[2];
	bool ok;

	grant.flags = session->kind == SESSION_DISPLAY ? VOLET_GRANT_DISPLAY : 0;
	memcpy(grant.viewer, session->viewer->name, sizeof(grant.viewer));
	memcpy(grant.camera, camera->config->name, sizeof(grant.camera));
	memcpy(grant.profile, answer->granted.profile, sizeof(grant.profile));
	if (msg_pair(pair) < 0)
		return VOLET_REASON_INTERNAL;
	ok = camera_grant(camera, &grant, pair[0]);
	close(pair[0]);
	if (!ok) {
		close(pair[1]);
		return deny(session, VOLET_DENIED_CAMERA_DOWN);
	}
	session->camera = camera;
	session->id = grant.session;
	session->state = SESSION_GRANTED;
	session->daemon->granted++;
	camera->granted++;
	session->daemon->totals.granted++;
	if (session->source)
		sources_release(&session->daemon->sources, g_steal_pointer(&session->source));
	g_clear_handle_id(&session->deadline, g_source_remove);
	ok = session_answer(session, answer, &pair[1]);
	close(pair[1]);
	return ok ? VOLET_REASON_NONE : VOLET_REASON_PROTOCOL;
}

static void fill_granted(const struct session *session, const struct volet_id *id,
			 struct volet_ctl *answer)
{
	answer->type = VOLET_CTL_GRANTED;
	answer->granted.session = *id;
	answer->granted.granted_ns = session->granted_ns;
	answer->granted.age_limit_ms = session->age_limit_ms;
	memcpy(answer->granted.viewer, session->viewer->name, VOLET_NAME_MAX);
	memcpy(answer->granted.camera, session->camera_name, VOLET_NAME_MAX);
	memcpy(answer->granted.profile, session->profile_name, VOLET_NAME_MAX);
}

static enum volet_reason grant(struct session *session, struct camera *camera,
			       const struct volet_profile_config *profile)
{
	struct volet_ctl answer = { 0 };
	enum volet_reason reason;
	struct volet_id id;
	char text[33];

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return VOLET_REASON_INTERNAL;
	memcpy(session->camera_name, camera->config->name, VOLET_NAME_MAX);
	memcpy(session->profile_name, profile->name, VOLET_NAME_MAX);
	session->granted_ns = (uint64_t)daemon_now_ns();
	session->age_limit_ms = session->daemon->config->age_limit_ms;
	fill_granted(session, &id, &answer);
	reason = give(session, fault_cross(camera), &answer);
	if (session->state == SESSION_GRANTED) {
		report_id(text, &id);
		say("%s: granted: session %s of %s on %s/%s", session->peer, text,
		    session->viewer->name, session->camera_name, profile->name);
	}
	return reason;
}

/* The viewer was who they say; is there something for them? */
static enum volet_reason authorize(struct session *session, const char *name,
				   const char *profile_name)
{
	const struct daemon *daemon = session->daemon;
	const struct volet_profile_config *profile = NULL;
	struct camera *camera = find_camera(daemon, session->viewer, name);

	if (camera)
		profile = config_profile(camera->config, profile_name);
	/* Pictures as they are don't leave the machine. */
	if (profile && config_profile_is_raw(profile) && session->kind == SESSION_REMOTE)
		profile = NULL;
	if (!profile) {
		say("%s: denied: %s has no such camera or profile", session->peer,
		    session->viewer->name);
		return deny_fruitless(session, VOLET_DENIED_NO_CAMERA);
	}
	if (camera->state != CAMERA_READY) {
		say("%s: denied: %s on %s: the camera is down", session->peer,
		    session->viewer->name, name);
		return deny_fruitless(session, VOLET_DENIED_CAMERA_DOWN);
	}
	if (daemon->granted >= daemon->config->max_sessions) {
		say("%s: denied: %s on %s: max-sessions are open", session->peer,
		    session->viewer->name, name);
		return deny_fruitless(session, VOLET_DENIED_LIMIT);
	}
	if (camera->granted >= camera->config->max_sessions) {
		say("%s: denied: %s on %s: the camera's max-sessions are open", session->peer,
		    session->viewer->name, name);
		return deny_fruitless(session, VOLET_DENIED_LIMIT);
	}
	return grant(session, camera, profile);
}

static enum volet_reason authenticate(struct session *session, const struct volet_ctl_auth *auth)
{
	const struct daemon *daemon = session->daemon;
	const struct volet_viewer_config *viewer = config_find_viewer(daemon->config, auth->viewer);
	int64_t now = daemon_now_ns();
	g_autofree char *why = NULL;

	if (!nonce_use(&session->nonce, auth->nonce, now))
		return deny_fruitless(session, VOLET_DENIED_STALE);
	/* Other connections from there may have used the tries up meanwhile. */
	if (!sources_may_try(session->source, now))
		return deny_credentials(session, "too many wrong credentials from there lately", true);
	if (!response_right(daemon, viewer, auth)) {
		sources_wrong(session->source, now);
		/* What isn't a viewer's name may be a password in the wrong field. */
		why = g_strdup_printf("wrong credentials for %s",
				      viewer ? viewer->name : "an unknown viewer");
		return deny_credentials(session, why, false);
	}
	session->nonce.proven = true;
	session->viewer = viewer;
	return authorize(session, auth->camera, auth->profile);
}

static enum volet_reason confirm(struct session *session, const struct volet_ctl_auth *auth)
{
	const struct volet_profile_config *profile = config_profile(session->camera->config,
								    auth->profile);
	struct volet_ctl answer = { 0 };

	if (strcmp(auth->viewer, session->viewer->name) ||
	    strcmp(auth->camera, session->camera_name) ||
	    !profile || strcmp(profile->name, session->profile_name))
		return VOLET_REASON_REBOUND;
	if (!nonce_use(&session->nonce, auth->nonce, daemon_now_ns()))
		return deny_fruitless(session, VOLET_DENIED_STALE);
	if (!response_right(session->daemon, session->viewer, auth))
		return VOLET_REASON_REBOUND;
	session->nonce.proven = true;
	session->fruitless = 0;
	fill_granted(session, &session->id, &answer);
	return session_answer(session, &answer, NULL) ? VOLET_REASON_NONE : VOLET_REASON_PROTOCOL;
}

/* Who it is was known when it came; what it may have is in its own group. */
enum volet_reason grant_local(struct session *session, const struct volet_ctl *msg)
{
	const struct volet_ctl_local *local = &msg->local;

	if (!msg_text_ok(local->camera, sizeof(local->camera)) ||
	    !msg_text_ok(local->profile, sizeof(local->profile)))
		return VOLET_REASON_PROTOCOL;
	return authorize(session, local->camera, local->profile);
}

enum volet_reason grant_authenticate(struct session *session, const struct volet_ctl *msg)
{
	const struct volet_ctl_auth *auth = &msg->auth;

	if (!msg_text_ok(auth->viewer, sizeof(auth->viewer)) ||
	    !msg_text_ok(auth->camera, sizeof(auth->camera)) ||
	    !msg_text_ok(auth->profile, sizeof(auth->profile)) ||
	    !msg_text_ok(auth->nonce, sizeof(auth->nonce)) ||
	    !msg_text_ok(auth->response, sizeof(auth->response)) ||
	    !msg_text_ok(auth->method, sizeof(auth->method)) ||
	    !msg_text_ok(auth->uri, sizeof(auth->uri)))
		return VOLET_REASON_PROTOCOL;
	return session->state == SESSION_GRANTED ? confirm(session, auth) :
						   authenticate(session, auth);
}
