// SPDX-License-Identifier: MIT
/* What goes to the viewer's socket; see writer.h. */
#include "writer.h"

#include <sys/ioctl.h>

#define MARKS 32

/* In the kernel's queue up to this byte: frames captured then. */
struct mark {
	uint64_t end, captured_ns;
};

struct writer {
	int socket;
	GstRTSPWatch *watch;
	struct feeder *feeder;
	GMutex lock;		/* what follows; taken before the watch's own lock */
	unsigned int channel;
	uint64_t age_limit_ns;
	uint64_t frame;		/* generation of the one that parts come of */
	bool sending, whole;	/* it is to be sent; its last part was */
	unsigned int queued_id;	/* of its newest part the socket hasn't taken wholly; 0: none */
	struct volet_frame_stamp queued;
	uint64_t queued_bytes;
	uint64_t written;	/* bytes of whole frames handed to the kernel */
	struct mark marks[MARKS];
	unsigned int n_marks;
};

struct writer *writer_new(int socket, GstRTSPWatch *watch, struct feeder *feeder)
{
	struct writer *w = g_new0(struct writer, 1);

	w->socket = socket;
	w->watch = watch;
	w->feeder = feeder;
	g_mutex_init(&w->lock);
	return w;
}

void writer_set_channel(struct writer *w, unsigned int channel)
{
	g_mutex_lock(&w->lock);
	w->channel = channel;
	g_mutex_unlock(&w->lock);
}

void writer_set_age_limit(struct writer *w, uint32_t age_limit_ms)
{
	g_mutex_lock(&w->lock);
	w->age_limit_ns = age_limit_ms * UINT64_C(1000000);
	g_mutex_unlock(&w->lock);
}

/* Call with the lock. When the marks are full, the two newest become one of the older's age. */
static void frame_written(struct writer *w, uint64_t bytes, const struct volet_frame_stamp *stamp)
{
	feeder_done(w->feeder, stamp->generation, bytes);
	w->written += bytes;
	if (w->n_marks == MARKS)
		w->marks[MARKS - 1].end = w->written;
	else
		w->marks[w->n_marks++] = (struct mark){ w->written, stamp->captured_ns };
}

static uint64_t data_bytes(const GstRTSPMessage *messages, unsigned int n)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		bytes += 4 + gst_buffer_get_size(messages[i].body_buffer);
	return bytes;
}

/* Whether the last of these packets is the last of its frame: RTP's marker says so. */
static bool ends_frame(GstRTSPMessage *messages, unsigned int n)
{
	guint8 head[2] = { 0 };

	gst_buffer_extract(messages[n - 1].body_buffer, 0, head, sizeof(head));
	return head[1] & 0x80;
}

/* Call with the lock. A frame begins: is it to be sent? */
static bool begin_frame(struct writer *w, const struct volet_frame_stamp *stamp)
{
	w->frame = stamp->generation;
#ifdef VOLET_FAULT_LATE		/* a build for tests only: all of it, behind whatever is queued */
	w->queued_bytes = 0;
	return true;
#endif
	/* The rest of the one before, which PAUSE cut off, is still with the watch. */
	if (w->queued_id)
		return false;
	w->queued_bytes = 0;
	w->queued = *stamp;
	return session_now_ns() - stamp->captured_ns <= w->age_limit_ns;
}

/*
 * Call with the lock. One call is a part of one frame: the payloader makes a list of a JPEG
 * and one of each unit of an H.264 picture. The frame stays feeder's current one until the
 * last part is done with, and what is none of it (a blank or flushed one) goes nowhere; for
 * the server it went.
 */
static bool send_part(struct writer *w, GstRTSPMessage *messages, unsigned int n)
{
	struct volet_frame_stamp stamp;
	bool last = ends_frame(messages, n);
	uint64_t bytes = data_bytes(messages, n);
	unsigned int id = 0;

	if (!feeder_current(w->feeder, &stamp))
		return true;
	if (w->frame != stamp.generation)
		w->sending = begin_frame(w, &stamp);
	if (!w->sending) {
		if (last)
			feeder_done(w->feeder, stamp.generation, 0);
		return true;
	}
	if (gst_rtsp_watch_send_messages(w->watch, messages, n, &id) != GST_RTSP_OK)
		return false;
	w->queued_bytes += bytes;
#ifdef VOLET_FAULT_LATE
	id = 0;
#endif
	/* In order: when the newest is written, so are those before. */
	if (id)
		w->queued_id = id;
	w->whole = last;
	if (last && !w->queued_id)
		frame_written(w, w->queued_bytes, &stamp);
	return true;
}

bool writer_send(struct writer *w, GstRTSPMessage *messages, unsigned int n)
{
	guint8 channel;
	bool ok;

	g_mutex_lock(&w->lock);
	if (gst_rtsp_message_get_type(messages) == GST_RTSP_MESSAGE_DATA &&
	    gst_rtsp_message_parse_data(messages, &channel) == GST_RTSP_OK && channel == w->channel)
		ok = send_part(w, messages, n);
	else
		ok = gst_rtsp_watch_send_messages(w->watch, messages, n, NULL) == GST_RTSP_OK;
	g_mutex_unlock(&w->lock);
	return ok;
}

void writer_sent(struct writer *w, unsigned int id)
{
	g_mutex_lock(&w->lock);
	if (id == w->queued_id) {
		w->queued_id = 0;
		if (w->whole)
			frame_written(w, w->queued_bytes, &w->queued);
	}
	g_mutex_unlock(&w->lock);
}

bool writer_is_late(struct writer *w, uint64_t *age_ns)
{
	uint64_t captured_ns = 0, acknowledged, now = session_now_ns();
	int unacknowledged = 0;
	bool late;

	g_mutex_lock(&w->lock);
	if (w->queued_id) {
		captured_ns = w->queued.captured_ns;
	} else if (ioctl(w->socket, TIOCOUTQ, &unacknowledged) == 0) {
		unsigned int i, gone = 0;

		/* A few bytes of responses are counted as frame: that errs to the older. */
		acknowledged = w->written - MIN(w->written, (uint64_t)unacknowledged);
		while (gone < w->n_marks && w->marks[gone].end <= acknowledged)
			gone++;
		for (i = gone; i < w->n_marks; i++)
			w->marks[i - gone] = w->marks[i];
		w->n_marks -= gone;
		if (w->n_marks)
			captured_ns = w->marks[0].captured_ns;
	}
	*age_ns = captured_ns && now > captured_ns ? now - captured_ns : 0;
	late = *age_ns > w->age_limit_ns;
#ifdef VOLET_FAULT_LATE
	late = false;
#endif
	g_mutex_unlock(&w->lock);
	return late;
}
