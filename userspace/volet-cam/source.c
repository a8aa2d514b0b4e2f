// SPDX-License-Identifier: MIT
/* The life of a camera's device; see source.h. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <string.h>
#include <unistd.h>

#include "annexb.h"
#include "error.h"
#include "testcoder.h"

#define SECOND_NS	G_GUINT64_CONSTANT(1000000000)
/* Without a frame for so long, or so many of its usual gaps, the camera has no signal ... */
#define SILENT_NS	(SECOND_NS * 9 / 10)
#define SILENT_GAPS	4
/* ... which a sensor that was just powered has a little longer. */
#define FIRST_NS	(SECOND_NS * 3 / 2)
/* Then it is closed, opened and set up anew. */
#define STALL_NS	(3 * SECOND_NS)
#define STALL_GAPS	10
#define PICTURE_NS	SECOND_NS
/* Between key frames of a camera that lets itself be asked, whoever joins or not. */
#define KEY_NS		SECOND_NS
#define BACKOFF_MIN_MS	200
#define BACKOFF_MAX_MS	2000
#define OPEN_MS		15000		/* the first time, before any session */

gboolean source_failed(const struct source *s)
{
	return s->signal > VOLET_SIGNAL_LIVE;
}

guint source_codec(const struct source *s)
{
	return s->convert.format ? convert_codec(s->convert.format) : 0;
}

guint source_parameters(const struct source *s, guint8 *out, gsize size)
{
	return s->convert.annexb ? annexb_parameters(s->convert.annexb, out, size) : 0;
}

static gboolean is_open(const struct source *s)
{
	return s->capture.fd >= 0;
}

static void set_signal(struct source *s, enum volet_signal signal, const char *fault)
{
	guint64 now = capture_now();
	gboolean was = source_failed(s), same = s->signal == signal && !g_strcmp0(s->fault, fault);
	g_autofree char *old = s->fault;

	s->fault = g_strdup(fault);
	s->signal = signal;
	if (same)
		return;
	if (source_failed(s)) {
		cam_log(s->config->name, "no signal: %s", fault);
		if (!was) {
			s->fault_ns = s->flowing ? s->frame_ns : now;
			s->picture_ns = now;
		}
	} else if (was && signal == VOLET_SIGNAL_LIVE) {
		cam_log(s->config->name, "the signal is back after %.1f s",
			(double)(now - s->fault_ns) / SECOND_NS);
	} else if (was) {
		cam_log(s->config->name, "the device is back");
	}
	s->changed(s, s->data);
}

static void stop(struct source *s)
{
	if (s->streaming && !s->is_test)
		capture_stop(&s->capture);
	s->streaming = FALSE;
	s->flowing = FALSE;
}

/* Close it and try again, each time a little later. */
static void fail(struct source *s, enum volet_signal signal, const char *text)
{
	set_signal(s, signal, text);
	stop(s);
	capture_close(&s->capture);
	s->retry_ns = capture_now() + s->backoff_ms * G_GUINT64_CONSTANT(1000000);
	s->backoff_ms = MIN(s->backoff_ms * 2, BACKOFF_MAX_MS);
}

static enum volet_signal signal_of(int errnum)
{
	switch (errnum) {
	case ENODEV:
	case ENXIO:
	case ENOENT:
	case ENOLINK:
		return VOLET_SIGNAL_UNPLUGGED;
	case EBUSY:
		return VOLET_SIGNAL_BUSY;
	case EIO:
		return VOLET_SIGNAL_BROKEN;
	default:
		return VOLET_SIGNAL_SETTINGS;
	}
}

static void fail_with(struct source *s, const GError *error)
{
	fail(s, signal_of(error->code), error->message);
}

static void close_heap(struct source *s)
{
	if (s->heap >= 0)
		close(s->heap);
	s->heap = -1;
}

/* The opener has answered: take the device over, and see that its queue can be made. */
static void take_over(struct source *s, const struct opener_files *files,
		      const struct opener_answer *answer)
{
	const struct volet_camera_config *config = s->config;
	struct capture_config capture = {
		.camera = config->name, .node = files->node, .entity = config->capture,
		.convert = &s->convert, .width = config->width, .height = config->height,
		.udmabuf = s->udmabuf, .heap = files->heap,
	};
	g_autoptr(GError) error = NULL;

	close_heap(s);
	s->heap = files->heap;
	if (files->node < 0) {
		fail(s, signal_of(answer->errnum), answer->text);
		return;
	}
	light_opened(&s->light, &answer->light);
	if (!capture_open(&s->capture, &capture, &error) || !capture_try(&s->capture, &error))
		fail_with(s, error);
	else if (!s->wanted)
		set_signal(s, VOLET_SIGNAL_NONE, NULL);
}

/* The sensor was set, or couldn't be. What a closed device says any more is of no interest. */
static void take_setting(struct source *s, const struct opener_answer *answer)
{
	if (!light_answer(&s->light, &answer->values, answer->errnum, answer->text) && is_open(s))
		fail(s, signal_of(answer->errnum), answer->text);
}

static gboolean take_answer(struct source *s, int timeout_ms, GError **error)
{
	struct opener_answer answer;
	struct opener_files files;
	gboolean have = TRUE;

	while (have && (s->opener.asked || s->opener.setting)) {
		if (!opener_answer(&s->opener, &answer, &files, &have, timeout_ms))
			return cam_error(error, 0, "the process that opens the device has ended");
		if (have && answer.what == OPENER_OPEN)
			take_over(s, &files, &answer);
		else if (have)
			take_setting(s, &answer);
	}
	return TRUE;
}

static gboolean ask(struct source *s, GError **error)
{
	return opener_ask(&s->opener) ||
	       cam_error(error, 0, "the process that opens the device has ended");
}

/* The ways from a format that libraries know, too, have to be there before the sandbox. */
static gboolean open_convert(struct source *s, GError **error)
{
	const struct volet_camera_config *config = s->config;
	const struct convert_format *format;
	guint32 fourcc = 0;
	guint i;

	for (i = 0; i < 4; i++)
		fourcc |= (guint32)(guint8)(config->format[i] ? config->format[i] : ' ') << 8 * i;
	format = convert_find(fourcc);
	if (!format) {
		g_autofree char *names = convert_names();

		return cam_error(error, 0, "format = %s can't be used: write one of %s",
				 config->format, names);
	}
	if (convert_is_bayer(format))
		cam_log(config->name, "raw Bayer: the colours are not balanced, and there is no "
				      "gamma; use the node of an image processor where there is one");
	light_init(&s->light, config, convert_is_bayer(format));
	return convert_open(&s->convert, format, config->width, config->height, error);
}

gboolean source_open(struct source *s, const struct volet_camera_config *config, int bus,
		     GError **error)
{
	s->config = config;
	s->is_test = !strcmp(config->media, "test");
	s->backoff_ms = BACKOFF_MIN_MS;
	s->picture = (struct nosignal){ .width = config->width, .height = config->height };
	s->capture = (struct capture){ .fd = -1 };
	s->opener.sock = -1;
	s->heap = -1;
	s->udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (s->is_test) {
		testcam_init(&s->test, config->name, config->width, config->height, config->rate);
		s->coder = testcoder_new(config, &s->convert, error);
		return s->coder || !error || !*error;
	}
	return open_convert(s, error) && opener_start(&s->opener, config, bus, error) &&
	       ask(s, error) && take_answer(s, OPEN_MS, error);
}

void source_close(struct source *s)
{
	stop(s);
	capture_close(&s->capture);
	convert_close(&s->convert);
	opener_stop(&s->opener);
	nosignal_free(&s->picture);
	testcam_free(&s->test);
	light_free(&s->light);
	testcoder_free(s->coder);
	if (s->udmabuf >= 0)
		close(s->udmabuf);
	s->udmabuf = -1;
	close_heap(s);
	g_free(s->fault);
	s->fault = NULL;
}

void source_poll(const struct source *s, struct pollfd fds[SOURCE_FDS])
{
	gboolean device = s->streaming && !s->is_test, asked = s->opener.asked || s->opener.setting;

	fds[0] = (struct pollfd){ .fd = asked ? s->opener.sock : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = device ? s->capture.fd : -1, .events = POLLIN };
}

static guint64 silent_limit(const struct source *s)
{
	return s->flowing ? MAX(SILENT_NS, SILENT_GAPS * s->gap_ns) : FIRST_NS;
}

guint64 source_due(const struct source *s)
{
	guint64 due = G_MAXUINT64;

	if (s->is_test)
		return s->streaming ? s->test.due_ns : G_MAXUINT64;
	if (!is_open(s) && !s->opener.asked)
		due = s->retry_ns;
	if (s->streaming && !source_failed(s))
		due = MIN(due, s->frame_ns + silent_limit(s));
	if (s->wanted && source_failed(s))
		due = MIN(due, s->picture_ns);
	return due;
}

static void start(struct source *s)
{
	g_autoptr(GError) error = NULL;

	s->frame_ns = capture_now();
	s->gap_ns = 0;
	s->flowing = FALSE;
	if (s->is_test) {
		s->test.due_ns = s->frame_ns;
		s->streaming = TRUE;
	} else if (capture_start(&s->capture, &error)) {
		s->whole = s->capture.captured - s->capture.errors;
		s->whole_errors = s->capture.errors;
		s->streaming = TRUE;
		light_start(&s->light);
	} else {
		fail_with(s, error);
	}
}

static void check_silence(struct source *s)
{
	guint64 silent = capture_now() - s->frame_ns;
	gboolean broken = s->capture.errors != s->whole_errors;
	enum volet_signal signal = broken ? VOLET_SIGNAL_BROKEN : VOLET_SIGNAL_STALLED;
	g_autofree char *text = NULL;

	if (!s->streaming || s->is_test || silent < silent_limit(s))
		return;
	text = broken ? g_strdup_printf("only frames come that are %s", s->capture.wrong) :
			g_strdup("no frame comes: see the sensor's cable and supplies, and the "
				 "kernel's log (dmesg)");
	if (silent < MAX(STALL_NS, STALL_GAPS * s->gap_ns))
		set_signal(s, signal, text);
	else
		fail(s, signal, text);
}

static void set_light(struct source *s)
{
	const struct sensor_values *values = is_open(s) ? light_wanted(&s->light) : NULL;

	if (values && opener_set(&s->opener, values))
		light_asked(&s->light);
}

gboolean source_run(struct source *s, gboolean wanted, GError **error)
{
	gboolean more = wanted && !s->wanted;

	s->wanted = wanted;
	if (!take_answer(s, 0, error))
		return FALSE;
	if (!wanted && s->streaming) {
		stop(s);
		set_signal(s, VOLET_SIGNAL_NONE, NULL);
	}
	if (more && !is_open(s)) {
		s->retry_ns = 0;
		s->picture_ns = 0;
	}
	if (!s->is_test && !is_open(s) && capture_now() >= s->retry_ns && !ask(s, error))
		return FALSE;
	set_light(s);
	if (wanted && !s->streaming && (s->is_test || is_open(s)))
		start(s);
	check_silence(s);
	return TRUE;
}

static void watch_pace(struct source *s)
{
	guint64 whole = s->capture.captured - s->capture.errors, now = capture_now();

	if (whole == s->whole)
		return;
	s->whole = whole;
	s->whole_errors = s->capture.errors;
	s->backoff_ms = BACKOFF_MIN_MS;
	/* Over some frames, and without the gaps that were a fault. */
	if (s->flowing && !source_failed(s))
		s->gap_ns = s->gap_ns ? (7 * s->gap_ns + now - s->frame_ns) / 8 : now - s->frame_ns;
	s->frame_ns = now;
	s->flowing = TRUE;
}

/* Who joins waits for a key frame, and its coming is to tell nobody that someone has joined. */
static void ask_for_key(struct source *s)
{
	guint64 now = capture_now();

	if (source_codec(s) != VOLET_CODEC_H264 || now < s->key_ns)
		return;
	s->key_ns = now + KEY_NS;
	if (!capture_force_key(&s->capture) && !s->said_key)
		cam_log(s->config->name, "the camera can't be asked for key frames (%s): who joins "
			"waits for its next", strerror(errno));
	s->said_key = TRUE;
}

/* A frame is given out only when it is newer than all that was given out before. */
static gboolean take_device(struct source *s, guint64 age_limit_ns, struct capture_frame *frame)
{
	g_autoptr(GError) error = NULL;
	int ret;

	ask_for_key(s);
	ret = capture_take(&s->capture, age_limit_ns, frame, &error);
	watch_pace(s);
	if (ret > 0 && frame->captured_ns <= s->newest_ns) {
		s->capture.late++;
		convert_lost(&s->convert);
		ret = capture_return(&s->capture, frame, &error) ? 0 : -1;
	}
	if (ret < 0)
		fail_with(s, error);
	if (ret > 0) {
		set_signal(s, VOLET_SIGNAL_LIVE, NULL);
		light_frame(&s->light, frame);
		set_light(s);
	}
	return ret > 0;
}

static gboolean take_test(struct source *s, struct capture_frame *frame)
{
	guint64 now = capture_now();

	if (now < s->test.due_ns)
		return FALSE;
	testcam_draw(&s->test, now);
	s->capture.captured++;
	s->capture.last_captured_ns = now;
	*frame = (struct capture_frame){
		.captured_ns = now, .sequence = s->test.seq, .y = s->test.y, .uv = s->test.uv,
		.stride = s->test.width, .dmabuf = -1,
	};
	set_signal(s, VOLET_SIGNAL_LIVE, NULL);
	return !s->coder || testcoder_code(s->coder, &s->convert, frame);
}

static gboolean take_picture(struct source *s, struct capture_frame *frame)
{
	guint64 now = capture_now();

	if (!s->wanted || !source_failed(s) || now < s->picture_ns)
		return FALSE;
	s->picture_ns = now + PICTURE_NS;
	nosignal_draw(&s->picture, s->config->name, s->signal, (now - s->fault_ns) / SECOND_NS);
	*frame = (struct capture_frame){
		.captured_ns = now, .sequence = ++s->generated, .y = s->picture.y,
		.uv = s->picture.uv, .stride = s->picture.width, .dmabuf = -1,
		.flags = VOLET_STAMP_GENERATED,
	};
	/* The camera's next difference is not one to this. */
	convert_lost(&s->convert);
	return TRUE;
}

gboolean source_take(struct source *s, guint64 age_limit_ns, struct capture_frame *frame)
{
	gboolean have = FALSE;

	if (s->streaming)
		have = s->is_test ? take_test(s, frame) : take_device(s, age_limit_ns, frame);
	if (!have && !take_picture(s, frame))
		return FALSE;
	g_strlcpy(frame->camera, s->config->name, sizeof(frame->camera));
	s->newest_ns = frame->captured_ns;
	return TRUE;
}

void source_return(struct source *s, const struct capture_frame *frame)
{
	g_autoptr(GError) error = NULL;

	if (s->is_test || frame->flags & VOLET_STAMP_GENERATED)
		return;
	if (!capture_return(&s->capture, frame, &error))
		fail_with(s, error);
}
