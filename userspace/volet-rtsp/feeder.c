// SPDX-License-Identifier: MIT
/* Frames of the session into the pipeline; see feeder.h. */
#include "feeder.h"

#include <gst/app/app.h>
#include <string.h>

enum feed {
	FEED_STOPPED,
	FEED_BLANK,	/* the next hungry pipeline gets a blank buffer */
	FEED_ARMED,	/* the next hungry pipeline gets frames captured from then on */
	FEED_RUNNING
};

struct frame {
	struct feeder *feeder;
	struct volet_frame_stamp stamp;
	const uint8_t *payload;	/* in the slot, while the frame waits */
	bool over;		/* sent or dropped: the next may go */
	uint8_t copy[];		/* of the payload, in the pipeline */
};

struct feeder {
	struct session *session;	/* home thread only */
	GMainContext *home;
	struct volet_frame_memory layout;
	GMutex lock;			/* what follows; never held while GStreamer is called */
	enum feed feed;
	GstElement *source;
	struct frame *current;
	GQueue waiting;			/* struct frame *, the oldest first */
	bool need_key;			/* a frame was dropped: what waits is of no use without a key */
};

static GstBuffer *buffer_of(const uint8_t *data, size_t size)
{
	GstBuffer *buffer = gst_buffer_new_allocate(NULL, size, NULL);

	gst_buffer_fill(buffer, 0, data, size);
	GST_BUFFER_PTS(buffer) = 0;
	return buffer;
}

/*
 * The parameter sets, which SDP is to have, and the head of a slice without a picture: what
 * rtph264pay takes for an access unit. It is never sent either.
 */
static GstBuffer *blank_h264(const struct volet_frame_memory *layout)
{
	static const uint8_t slice[] = { 0, 0, 0, 1, 0x65, 0x88, 0x80 };
	uint8_t unit[VOLET_PARAMETERS_MAX + sizeof(slice)];

	memcpy(unit, layout->parameters, layout->n_parameters);
	memcpy(unit + layout->n_parameters, slice, sizeof(slice));
	return buffer_of(unit, layout->n_parameters + sizeof(slice));
}

/*
 * The smallest thing that rtpjpegpay takes for a JPEG of 16x16 pixels: tables, frame header
 * and scan header, no picture. It is never sent (see writer.c).
 */
static GstBuffer *blank_jpeg(void)
{
	static const uint8_t head[] = { 0xff, 0xd8, 0xff, 0xdb, 0, 67, 0 };
	static const uint8_t tail[] = {
		0xff, 0xc0, 0, 17, 8, 0, 16, 0, 16, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0,
		0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0, 0, 0xff, 0xd9
	};
	uint8_t jpeg[sizeof(head) + 64 + sizeof(tail)];

	memcpy(jpeg, head, sizeof(head));
	memset(jpeg + sizeof(head), 1, 64);
	memcpy(jpeg + sizeof(head) + 64, tail, sizeof(tail));
	return buffer_of(jpeg, sizeof(jpeg));
}

static void in_home(struct feeder *f, GSourceFunc func, void *data)
{
	GSource *source = g_idle_source_new();

	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, func, data, NULL);
	g_source_attach(source, f->home);
	g_source_unref(source);
}

static struct frame *frame_new(struct feeder *f, const struct volet_frame_stamp *stamp)
{
	struct frame *frame = g_malloc(sizeof(*frame) + stamp->length);

	frame->feeder = f;
	frame->stamp = *stamp;
	frame->over = false;
	return frame;
}

/* What was never sent. Home thread. */
static void drop(struct feeder *f)
{
	session_count_dropped(f->session);
}

static gboolean next_frame(gpointer data);

/* Call with the lock: the pipeline is done with a frame, whatever became of it. */
static void frame_over(struct frame *frame)
{
	struct feeder *f = frame->feeder;

	if (frame->over)
		return;
	frame->over = true;
	if (f->current == frame)
		f->current = NULL;
	in_home(f, next_frame, f);
}

/* GStreamer has let go of a frame. The newest sent one it keeps until the next is there. */
static void frame_let_go(gpointer data)
{
	struct frame *frame = data;
	struct feeder *f = frame->feeder;

	g_mutex_lock(&f->lock);
	frame_over(frame);
	g_mutex_unlock(&f->lock);
	g_free(frame);
}

/*
 * Home thread. A pipeline that is stopping refuses the buffer, which lets go of the frame:
 * that is no error, and the next run takes buffers again.
 */
static void push(struct frame *frame, GstElement *source)
{
	GstBuffer *buffer = gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, frame->copy,
		frame->stamp.length, 0, frame->stamp.length, frame, frame_let_go);
	GstClockTime base = gst_element_get_base_time(source);

	if (!(frame->stamp.flags & VOLET_STAMP_KEY))
		GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);

	/* The pipeline's clock is the stamp's, CLOCK_MONOTONIC: RTP times tell capture times. */
	GST_BUFFER_PTS(buffer) = frame->stamp.captured_ns > base ?
				 frame->stamp.captured_ns - base : 0;
	gst_app_src_push_buffer(GST_APP_SRC(source), buffer);
}

/* Home thread: a frame that waited and that nobody will send. */
static void drop_frame(struct feeder *f, struct frame *frame)
{
	drop(f);
	session_release(f->session, frame->stamp.slot, frame->stamp.generation);
	g_free(frame);
}

/* Call with the lock: the next that can be decoded, and in `dropped` those that can't be. */
static struct frame *take_waiting(struct feeder *f, GQueue *dropped)
{
	struct frame *frame;

	while ((frame = g_queue_pop_head(&f->waiting))) {
		if (!f->need_key || frame->stamp.flags & VOLET_STAMP_KEY)
			break;
		g_queue_push_tail(dropped, frame);
	}
	if (frame)
		f->need_key = false;
	return frame;
}

/* Home thread: the waiting frame into the pipeline, when there is one and room for it. */
static gboolean next_frame(gpointer data)
{
	struct feeder *f = data;
	GQueue dropped = G_QUEUE_INIT;
	struct frame *frame = NULL, *useless;
	GstElement *source = NULL;
	bool need_key;

	g_mutex_lock(&f->lock);
	if (f->feed == FEED_RUNNING && !f->current) {
		frame = f->current = take_waiting(f, &dropped);
		source = gst_object_ref(f->source);
	}
	need_key = f->feed == FEED_RUNNING && f->need_key;
	g_mutex_unlock(&f->lock);
	while ((useless = g_queue_pop_head(&dropped)))
		drop_frame(f, useless);
	if (need_key)
		session_need_key(f->session);
	if (frame) {
		memcpy(frame->copy, frame->payload, frame->stamp.length);
		session_release(f->session, frame->stamp.slot, frame->stamp.generation);
		push(frame, source);
	}
	if (source)
		gst_object_unref(source);
	return G_SOURCE_REMOVE;
}

/* Home thread: nobody will send what waits. */
static void drop_waiting(struct feeder *f)
{
	struct frame *waiting;

	do {
		g_mutex_lock(&f->lock);
		waiting = g_queue_pop_head(&f->waiting);
		g_mutex_unlock(&f->lock);
		if (waiting)
			drop_frame(f, waiting);
	} while (waiting);
}

void feeder_offer(struct feeder *f, const struct volet_frame_stamp *stamp, const uint8_t *payload)
{
	struct frame *frame;
	bool wanted;

	/* Each JPEG is whole by itself: the newest is worth more than its order. */
	if (f->layout.codec == VOLET_CODEC_JPEG)
		drop_waiting(f);
	g_mutex_lock(&f->lock);
	wanted = f->feed == FEED_RUNNING;
	if (wanted) {
		frame = frame_new(f, stamp);
		frame->payload = payload;
		g_queue_push_tail(&f->waiting, frame);
	}
	g_mutex_unlock(&f->lock);
	if (wanted) {
		next_frame(f);
	} else {
		drop(f);
		session_release(f->session, stamp->slot, stamp->generation);
	}
}

static gboolean start_session(gpointer data)
{
	session_start(((struct feeder *)data)->session);
	return G_SOURCE_REMOVE;
}

static gboolean stop_session(gpointer data)
{
	struct feeder *f = data;

	drop_waiting(f);
	session_stop(f->session);
	return G_SOURCE_REMOVE;
}

/* A pipeline has come up, its clock runs and it wants a buffer. Streaming thread. */
static void hungry(GstAppSrc *source, guint length G_GNUC_UNUSED, gpointer data)
{
	struct feeder *f = data;
	enum feed was;

	g_mutex_lock(&f->lock);
	was = f->feed;
	if (was == FEED_BLANK) {
		f->feed = FEED_STOPPED;
	} else if (was == FEED_ARMED) {
		f->feed = FEED_RUNNING;
		f->need_key = false;	/* the session lets nothing through before one */
	}
	g_mutex_unlock(&f->lock);
	if (was == FEED_BLANK)
		gst_app_src_push_buffer(source, f->layout.codec == VOLET_CODEC_JPEG ?
					blank_jpeg() : blank_h264(&f->layout));
	else if (was == FEED_ARMED)
		in_home(f, start_session, f);
}

struct feeder *feeder_new(struct session *session, GMainContext *home)
{
	struct feeder *f = g_new0(struct feeder, 1);

	f->session = session;
	f->home = home;
	g_mutex_init(&f->lock);
	g_queue_init(&f->waiting);
	return f;
}

void feeder_set_layout(struct feeder *f, const struct volet_frame_memory *layout)
{
	f->layout = *layout;
}

const struct volet_frame_memory *feeder_layout(const struct feeder *f)
{
	return &f->layout;
}

GstElement *feeder_make_source(struct feeder *f)
{
	bool jpeg = f->layout.codec == VOLET_CODEC_JPEG;
	g_autoptr(GstCaps) caps = gst_caps_new_simple(jpeg ? "image/jpeg" : "video/x-h264",
		"width", G_TYPE_INT, (int)f->layout.width,
		"height", G_TYPE_INT, (int)f->layout.height,
		"framerate", GST_TYPE_FRACTION, 0, 1, NULL);
	static GstAppSrcCallbacks callbacks = { .need_data = hungry };
	GstElement *source = gst_element_factory_make("appsrc", NULL);

	if (!jpeg)
		gst_caps_set_simple(caps, "stream-format", G_TYPE_STRING, "byte-stream",
				    "alignment", G_TYPE_STRING, "au",
				    "profile", G_TYPE_STRING, "constrained-baseline", NULL);
	g_object_set(source, "caps", caps, "is-live", TRUE, "format", GST_FORMAT_TIME,
		     "do-timestamp", FALSE, NULL);
	gst_app_src_set_callbacks(GST_APP_SRC(source), &callbacks, f, NULL);
	g_mutex_lock(&f->lock);
	gst_object_replace((GstObject **)&f->source, GST_OBJECT(source));
	g_mutex_unlock(&f->lock);
	return source;
}

static void expect(struct feeder *f, enum feed feed)
{
	g_mutex_lock(&f->lock);
	if (f->feed != FEED_RUNNING)
		f->feed = feed;
	g_mutex_unlock(&f->lock);
}

void feeder_expect_blank(struct feeder *f)
{
	expect(f, FEED_BLANK);
}

void feeder_expect_play(struct feeder *f)
{
	expect(f, FEED_ARMED);
}

void feeder_stop(struct feeder *f)
{
	g_mutex_lock(&f->lock);
	f->feed = FEED_STOPPED;
	g_mutex_unlock(&f->lock);
	in_home(f, stop_session, f);
}

bool feeder_current(struct feeder *f, struct volet_frame_stamp *stamp)
{
	bool any;

	g_mutex_lock(&f->lock);
	any = f->current != NULL;
	if (any)
		*stamp = f->current->stamp;
	g_mutex_unlock(&f->lock);
	return any;
}

struct sent {
	struct feeder *feeder;
	uint64_t bytes, age_ns;
};

static gboolean count_sent(gpointer data)
{
	struct sent *sent = data;

	if (sent->bytes)
		session_count_sent(sent->feeder->session, sent->bytes, sent->age_ns);
	else
		drop(sent->feeder);
	g_free(sent);
	return G_SOURCE_REMOVE;
}

void feeder_done(struct feeder *f, uint64_t generation, uint64_t bytes)
{
	struct sent *sent = g_new(struct sent, 1);

	*sent = (struct sent){ .feeder = f, .bytes = bytes };
	g_mutex_lock(&f->lock);
	if (f->current && f->current->stamp.generation == generation) {
		sent->age_ns = session_now_ns() - f->current->stamp.captured_ns;
		f->need_key = f->need_key || (!bytes && f->layout.codec != VOLET_CODEC_JPEG);
		frame_over(f->current);
	}
	g_mutex_unlock(&f->lock);
	in_home(f, count_sent, sent);
}
