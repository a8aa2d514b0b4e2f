// SPDX-License-Identifier: MIT
/* One camera's loop; see camera.h. */
#include "camera.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "msg.h"

#define SECOND_NS	G_GUINT64_CONSTANT(1000000000)

/* Figures may be missed when voletd is busy; the end of a session may not, for it is accounted. */
static void send_bus(struct camera *cam, const struct volet_bus *msg, gboolean needed)
{
	int ret;

	if (cam->bus_lost)
		return;
	ret = msg_send(cam->bus, msg, sizeof(*msg), NULL, 0);
	if (!ret || (ret == -EAGAIN && !needed))
		return;
	cam_log(cam->config->name,
		"voletd doesn't read its bus (%s): no pictures without its account",
		strerror(-ret));
	cam->bus_lost = TRUE;
}

static void report_session(const struct volet_bus_session *account, gpointer data)
{
	struct volet_bus msg = { .type = VOLET_BUS_SESSION, .session = *account };

	send_bus(data, &msg, account->ended != VOLET_REASON_NONE);
}

static void report_signal(const struct source *source, gpointer data)
{
	struct volet_bus msg = {
		.type = VOLET_BUS_SIGNAL, .signal.signal = source->signal,
	};

	g_strlcpy(msg.signal.text, source->fault ? source->fault : "", sizeof(msg.signal.text));
	send_bus(data, &msg, FALSE);
}

static void report(struct camera *cam)
{
	const struct source *source = &cam->source;
	const struct capture *capture = &source->capture;
	struct volet_bus msg = {
		.type = VOLET_BUS_STATS,
		.stats = {
			.captured = capture->captured, .encoded = cam->encoded,
			.errors = capture->errors + cam->broken, .late = capture->late,
			.last_captured_ns = capture->last_captured_ns,
			.capture_ns = capture->last_delay_ns, .encode_ns = cam->encode_ns,
			.memory = source->is_test ? VOLET_MEMORY_OWN : capture->memory,
			.sessions = sessions_count(&cam->sessions),
			.streaming = source->streaming, .signal = source->signal,
			.generated = source->generated,
		},
	};

	send_bus(cam, &msg, FALSE);
	sessions_report(&cam->sessions);
}

/* What the camera codes itself is passed on: nothing can be made of it but what it is. */
static gboolean check_own(const struct camera *cam, const struct volet_profile_config *profile,
			  GError **error)
{
	const struct volet_camera_config *config = cam->config;
	guint codec = source_codec(&cam->source);
	gboolean jpeg = codec == VOLET_CODEC_JPEG;

	if (!codec || (profile->codec == codec && profile->width == config->width &&
		       profile->height == config->height && (jpeg || !profile->rate)))
		return TRUE;
	return cam_error(error, 0,
			 "profile %s: the camera's own %s are passed on as they are: write codec = %s "
			 "and the camera's size%s", profile->name, jpeg ? "JPEGs" : "H.264 frames",
			 jpeg ? "jpeg" : "h264", jpeg ? "" : ", and no rate");
}

static gboolean open_encode(struct camera *cam, guint i, GError **error)
{
	const struct volet_camera_config *config = cam->config;
	const struct volet_profile_config *profile = config->profiles->pdata[i];
	struct sessions_profile *out = &cam->profiles[i];

	if (!check_own(cam, profile, error))
		return FALSE;
	cam->encodes[i] = encode_new(profile, config->width, config->height, cam->source.udmabuf,
				     error);
	if (!cam->encodes[i])
		return FALSE;
	g_strlcpy(out->name, profile->name, sizeof(out->name));
	out->codec = profile->codec;
	out->width = profile->width;
	out->height = profile->height;
	out->n_parameters = encode_parameters(cam->encodes[i], out->parameters);
	if (config_profile_is_raw(profile)) {
		out->slots = MIN(config->slots, ENCODE_RAW_SLOTS);
		out->slot_size = (guint)memory_round_up(VOLET_SLOT_PAYLOAD + encode_raw_size(profile));
	}
	return out->codec != VOLET_CODEC_H264 || out->n_parameters ||
	       cam_error(error, 0, "profile %s: no parameter sets", out->name);
}

static gboolean open_encodes(struct camera *cam, GError **error)
{
	guint i;

	for (i = 0; i < cam->config->profiles->len; i++)
		if (!open_encode(cam, i, error))
			return FALSE;
	return TRUE;
}

gboolean camera_has_codecs(const struct camera *cam)
{
	guint i;

	for (i = 0; i < cam->config->profiles->len; i++)
		if (encode_is_hardware(cam->encodes[i]))
			return TRUE;
	return source_codec(&cam->source) == VOLET_CODEC_H264;
}

static void open_sessions(struct camera *cam)
{
	const struct volet_camera_config *config = cam->config;
	const struct sessions_config sessions = {
		.camera = config->name,
		.slots = config->slots,
		.slot_size = config->slot_size_kib * 1024,
		.profiles = cam->profiles,
		.n_profiles = config->profiles->len,
		.udmabuf = cam->source.udmabuf,
		.report = report_session,
		.data = cam,
	};

	sessions_init(&cam->sessions, &sessions);
}

gboolean camera_open(struct camera *cam, const struct volet_camera_config *config, int bus,
		     GError **error)
{
	*cam = (struct camera){
		.config = config, .bus = bus,
		.source = { .changed = report_signal, .data = cam, .udmabuf = -1, .heap = -1,
			    .capture.fd = -1, .opener.sock = -1 },
	};
	if (!source_open(&cam->source, config, bus, error))
		return FALSE;
	if (!open_encodes(cam, error))
		return FALSE;
	open_sessions(cam);
	return TRUE;
}

void camera_close(struct camera *cam)
{
	guint i;

	if (cam->sessions.list)
		sessions_free(&cam->sessions, VOLET_REASON_CAMERA_GONE);
	for (i = 0; i < VOLET_PROFILES_MAX; i++)
		encode_free(cam->encodes[i]);
	source_close(&cam->source);
}

/* FALSE once the bus has ended. */
static gboolean read_bus(struct camera *cam)
{
	struct volet_bus msg;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret;

	while ((ret = msg_recv(cam->bus, &msg, sizeof(msg), fds, &n_fds)) == 0) {
		if (msg.type == VOLET_BUS_GRANT && n_fds == 1) {
			sessions_grant(&cam->sessions, &msg.grant, fds[0]);
		} else if (msg.type == VOLET_BUS_END && n_fds == 0) {
			sessions_end(&cam->sessions, &msg.end.session,
				     msg.end.reason < VOLET_REASON_COUNT ? msg.end.reason :
									   VOLET_REASON_INTERNAL);
		} else {
			msg_close_fds(fds);
			ret = -EPROTO;
			break;
		}
	}
	if (ret == -EAGAIN)
		return !cam->bus_lost;
	cam_log(cam->config->name, "the bus to voletd has ended (%s)", strerror(-ret));
	return FALSE;
}

static gboolean encode(struct camera *cam, const struct capture_frame *frame,
		       struct session_frame *out, GError **error)
{
	struct encode *own = cam->encodes[out->profile];
	const struct raw_picture picture = {
		.y = frame->y, .uv = frame->uv, .stride = frame->stride,
		.captured_ns = frame->captured_ns, .dmabuf = frame->dmabuf,
		.dmabuf_size = frame->dmabuf_size,
	};
	guint64 begin = capture_now();

	if (frame->coded) {
		out->data = frame->coded;
		out->length = frame->coded_size;
		out->key = frame->key;
	} else if (encode_picture(own, &picture, &out->key, &out->data, &out->length, error)) {
		cam->encode_ns = capture_now() - begin;
		cam->encoded += out->length > 0;
		cam->broken += !out->length;
	} else {
		return FALSE;
	}
	out->camera = frame->camera;
	out->captured_ns = frame->captured_ns;
	out->sequence = frame->sequence;
	out->flags = frame->flags;
	return TRUE;
}

/* The camera says its parameter sets when it first streams: who is granted later is told them. */
static void learn_parameters(struct camera *cam, guint profile)
{
	struct sessions_profile *out = &cam->profiles[profile];
	guint n = source_parameters(&cam->source, out->parameters, sizeof(out->parameters));

	if (n)
		out->n_parameters = n;
}

/* Is that frame to be of this profile, and a key frame of it (or may it be)? */
static gboolean due(struct camera *cam, guint profile, const struct capture_frame *frame,
		    gboolean *key)
{
	struct encode *own = cam->encodes[profile];

	if (frame->coded) {
		if (frame->key && source_codec(&cam->source) == VOLET_CODEC_H264)
			learn_parameters(cam, profile);
		*key = frame->key;
		/* Its differences are to each other: all or none. */
		return source_codec(&cam->source) == VOLET_CODEC_H264 ||
		       encode_due(own, frame->captured_ns);
	}
	/* A picture between an H.264 camera's frames is a difference to none of them. */
	if (source_codec(&cam->source) == VOLET_CODEC_H264)
		encode_forget(own);
	*key = encode_key_due(own, frame->captured_ns);
	return encode_due(own, frame->captured_ns);
}

/* One frame as one profile to all who are to have it. */
static gboolean handle_profile(struct camera *cam, guint profile, const struct capture_frame *frame,
			       GError **error)
{
	struct session_frame out = { .profile = profile };
	gboolean key;

	if (!due(cam, profile, frame, &key))
		return TRUE;
	if (!sessions_claim(&cam->sessions, profile, frame->captured_ns, capture_now(), key)) {
		/* An encode that wasn't made is no gap; a frame of the camera that went by is. */
		if (frame->coded)
			sessions_miss(&cam->sessions, profile);
		return TRUE;
	}
	if (!encode(cam, frame, &out, error))
		return FALSE;
	/* Who was ended or has stopped while the frame was encoded is not to have it. */
	cam->bus_lost = !read_bus(cam);
	sessions_read(&cam->sessions);
	if (out.length)
		sessions_deliver(&cam->sessions, &out);
	else
		sessions_miss(&cam->sessions, profile);
	return TRUE;
}

/* One frame: the newest, or of an H.264 camera the next. */
static gboolean handle_frame(struct camera *cam, GError **error)
{
	struct capture_frame frame;
	gboolean ok = TRUE;
	guint i;

	if (!source_take(&cam->source, sessions_age_limit(&cam->sessions), &frame))
		return TRUE;
	for (i = 0; ok && i < cam->config->profiles->len && !cam->bus_lost; i++)
		ok = handle_profile(cam, i, &frame, error);
	source_return(&cam->source, &frame);
	return ok;
}

/* What nobody watches any more is forgotten: an encoder holds the picture before. */
static void forget_unwatched(struct camera *cam)
{
	guint i;

	for (i = 0; i < cam->config->profiles->len; i++)
		if (!sessions_watch_profile(&cam->sessions, i))
			encode_forget(cam->encodes[i]);
}

/* Waits for something to do, a second at most. */
static void wait_for_work(struct camera *cam)
{
	guint i, n = 1 + SOURCE_FDS + sessions_count(&cam->sessions);
	g_autofree struct pollfd *fds = g_new0(struct pollfd, n);
	guint64 now = capture_now(), due = MIN(cam->report_ns, source_due(&cam->source));
	int timeout = due > now ? (int)((due - now) / 1000000) + 1 : 0;

	fds[0] = (struct pollfd) { .fd = cam->bus, .events = POLLIN };
	source_poll(&cam->source, fds + 1);
	for (i = 1 + SOURCE_FDS; i < n; i++)
		fds[i] = (struct pollfd) {
			.fd = sessions_channel(&cam->sessions, i - 1 - SOURCE_FDS),
			.events = POLLIN,
		};
	poll(fds, n, timeout);
}

gboolean camera_run(struct camera *cam, GError **error)
{
	while (!cam->bus_lost) {
		if (capture_now() >= cam->report_ns) {
			report(cam);
			cam->report_ns = capture_now() + SECOND_NS;
		}
		wait_for_work(cam);
		if (!read_bus(cam)) {
			cam->bus_lost = TRUE;
			break;
		}
		sessions_read(&cam->sessions);
		if (!handle_frame(cam, error))
			return FALSE;
		forget_unwatched(cam);
		if (!source_run(&cam->source, sessions_watched(&cam->sessions), error))
			return FALSE;
	}
	return TRUE;
}
