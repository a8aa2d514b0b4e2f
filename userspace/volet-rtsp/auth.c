// SPDX-License-Identifier: MIT
/*
 * Who is asking? Digest (RFC 2069's form, which every RTSP client speaks). The nonce is
 * voletd's and so is the verdict; here the header is taken apart and the verdict put into
 * RTSP's words. After the grant the connection is bound to one viewer,
 * one camera and one profile.
 */
#include "viewer.h"

#include <string.h>

#include "media.h"
#include "msg.h"

/* What the Authorization header must have said. */
struct digest {
	const char *username, *realm, *nonce, *uri, *response, *algorithm, *qop;
};

static void challenge(struct viewer *v, GstRTSPMessage *request, bool stale)
{
	char value[VOLET_NONCE_MAX + 64];

	if (!v->talk.nonce[0] || stale) {
		if (desk_ask_nonce(v) != ANSWER_NONCE)
			return;
		memcpy(v->talk.nonce, v->desk.nonce, sizeof(v->talk.nonce));
	}
	g_snprintf(value, sizeof(value), "Digest realm=\"%s\", nonce=\"%s\"%s", VOLET_REALM,
		   v->talk.nonce, stale ? ", stale=true" : "");
	gate_reply(v, GST_RTSP_STS_UNAUTHORIZED, request, "WWW-Authenticate", value);
}

/* The fields point into `credential`. */
static bool take_digest(const GstRTSPAuthCredential *credential, struct digest *digest)
{
	const struct {
		const char *name;
		const char **value;
	} fields[] = {
		{ "username", &digest->username }, { "realm", &digest->realm },
		{ "nonce", &digest->nonce }, { "uri", &digest->uri },
		{ "response", &digest->response }, { "algorithm", &digest->algorithm },
		{ "qop", &digest->qop },
	};
	GstRTSPAuthParam **param;
	size_t i;

	memset(digest, 0, sizeof(*digest));
	if (credential->scheme != GST_RTSP_AUTH_DIGEST || !credential->params)
		return false;
	for (param = credential->params; *param; param++) {
		for (i = 0; i < G_N_ELEMENTS(fields); i++) {
			if (!(*param)->value || g_ascii_strcasecmp((*param)->name, fields[i].name))
				continue;
			/* A field said twice would be one thing to us and another to voletd. */
			if (*fields[i].value)
				return false;
			*fields[i].value = (*param)->value;
		}
	}
	return digest->username && digest->realm && digest->nonce && digest->uri &&
	       digest->response && !digest->qop &&
	       (!digest->algorithm || !g_ascii_strcasecmp(digest->algorithm, "MD5"));
}

static bool put(char *field, size_t size, const char *text)
{
	return g_strlcpy(field, text, size) < size;
}

/* False when the header isn't one that could ever be right. */
static bool fill_auth(struct volet_ctl_auth *auth, const struct digest *digest,
		      const char *method, const char *camera, const char *profile)
{
	char proven[VOLET_NAME_MAX], proven_profile[VOLET_NAME_MAX];

	memset(auth, 0, sizeof(*auth));
	/* Clients write the URI in several ways; all must prove the same camera and profile. */
	return strcmp(digest->realm, VOLET_REALM) == 0 &&
	       path_names(digest->uri, proven, proven_profile) && strcmp(proven, camera) == 0 &&
	       strcmp(proven_profile, profile) == 0 &&
	       msg_name_ok(digest->username) &&
	       strlen(digest->response) == 32 &&
	       strspn(digest->response, "0123456789abcdefABCDEF") == 32 &&
	       put(auth->viewer, sizeof(auth->viewer), digest->username) &&
	       put(auth->camera, sizeof(auth->camera), camera) &&
	       put(auth->profile, sizeof(auth->profile), profile) &&
	       put(auth->nonce, sizeof(auth->nonce), digest->nonce) &&
	       put(auth->response, sizeof(auth->response), digest->response) &&
	       put(auth->method, sizeof(auth->method), method) &&
	       put(auth->uri, sizeof(auth->uri), digest->uri);
}

/* voletd's no, in RTSP's words. */
static void tell_denied(struct viewer *v, GstRTSPMessage *request)
{
	switch (v->desk.denied) {
	case VOLET_DENIED_STALE:
		challenge(v, request, true);
		break;
	case VOLET_DENIED_NO_CAMERA:
		gate_reply(v, GST_RTSP_STS_NOT_FOUND, request, NULL, NULL);
		break;
	case VOLET_DENIED_CAMERA_DOWN:
		gate_reply(v, GST_RTSP_STS_SERVICE_UNAVAILABLE, request, NULL, NULL);
		break;
	case VOLET_DENIED_LIMIT:
		gate_reply(v, GST_RTSP_STS_NOT_ENOUGH_BANDWIDTH, request, NULL, NULL);
		break;
	case VOLET_DENIED_CREDENTIALS:
		if (v->desk.tries_left == 0)
			viewer_end(v, VOLET_REASON_CREDENTIALS, "no tries left");
		challenge(v, request, false);
		break;
	default:
		viewer_end(v, VOLET_REASON_PROTOCOL, "voletd denied for no known reason");
		break;
	}
}

/* The server gets to know the path that was asked for and no other. */
static void bind_viewer(struct viewer *v, const char *profile)
{
	g_autofree char *path = g_strconcat("/", v->desk.grant.camera, *profile ? "/" : NULL, profile,
					    NULL);

	memcpy(v->talk.viewer, v->desk.grant.viewer, sizeof(v->talk.viewer));
	memcpy(v->talk.camera, v->desk.grant.camera, sizeof(v->talk.camera));
	g_strlcpy(v->talk.profile, profile, sizeof(v->talk.profile));
	v->talk.granted = true;
	writer_set_age_limit(v->writer, v->desk.grant.age_limit_ms);
	feeder_set_layout(v->feeder, &v->desk.layout);
	gst_rtsp_mount_points_add_factory(v->mounts, path, media_factory_new(v->feeder));
}

static bool authenticate(struct viewer *v, GstRTSPMessage *request, const struct digest *digest,
			 const char *method, const char *camera, const char *profile)
{
	struct volet_ctl_auth auth;

	if (!camera) {
		/* No name that a camera can have: there is nothing to ask voletd. */
		gate_reply(v, GST_RTSP_STS_NOT_FOUND, request, NULL, NULL);
		return false;
	}
	if (!fill_auth(&auth, digest, method, camera, profile)) {
		challenge(v, request, false);
		return false;
	}
	if (desk_authenticate(v, &auth) != ANSWER_GRANTED) {
		tell_denied(v, request);
		return false;
	}
	bind_viewer(v, profile);
	return true;
}

/* Bound: another camera, profile or viewer ends the session, whatever the credentials. */
static bool still_bound(struct viewer *v, GstRTSPMessage *request, const struct digest *digest,
			const char *camera, const char *profile)
{
	if (camera && strcmp(camera, v->talk.camera) == 0 && strcmp(profile, v->talk.profile) == 0 &&
	    (!digest || (digest->username && strcmp(digest->username, v->talk.viewer) == 0)))
		return true;
	viewer_end(v, VOLET_REASON_REBOUND, "the connection is bound");
	gate_reply(v, GST_RTSP_STS_FORBIDDEN, request, NULL, NULL);
	return false;
}

bool auth_request(struct viewer *v, GstRTSPMessage *request, const char *method,
		  const char *camera, const char *profile)
{
	GstRTSPAuthCredential **credentials =
		gst_rtsp_message_parse_auth_credentials(request, GST_RTSP_HDR_AUTHORIZATION);
	struct digest digest;
	bool ok, any = credentials && credentials[0];
	bool good = any && !credentials[1] && take_digest(credentials[0], &digest);

	if (v->talk.granted) {
		if (any && !good)
			memset(&digest, 0, sizeof(digest));
		ok = still_bound(v, request, any ? &digest : NULL, camera, profile);
	} else if (good) {
		ok = authenticate(v, request, &digest, method, camera, profile);
	} else {
		challenge(v, request, false);
		ok = false;
	}
	if (credentials)
		gst_rtsp_auth_credentials_free(credentials);
	return ok;
}
