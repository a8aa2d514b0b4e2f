// SPDX-License-Identifier: MIT
/*
 * volet-rtsp: the session program of one RTSP viewer. Started by volet-spawn with the
 * viewer's connection and a channel to voletd, it serves that connection and nothing else,
 * and ends with it. It shuts itself in before it reads a byte of the network.
 */
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib-unix.h>

#include "media.h"
#include "msg.h"
#include "sandbox.h"
#include "viewer.h"

#define TICK_MS		250
#define IDLE_S		65		/* nothing heard, and not playing or playing by UDP */
#define STUCK_MS	10000		/* of a frame on its way in here, beyond what a viewer may take */
#define SEND_BUFFER	(64 * 1024)	/* the less is in it, the less is late */

static void say(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(const char *name, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* One write, so that lines of several sessions don't mix. */
	dprintf(STDERR_FILENO, "volet-rtsp[%s]: %s\n", name, text);
}

/* ---- the end ------------------------------------------------------------------------ */

/* What net has decided, else `reason`. */
static void end_session(struct viewer *v, enum volet_reason reason, const char *why)
{
	g_mutex_lock(&v->lock);
	if (v->end_why) {
		reason = v->end_reason;
		why = v->end_why;
	}
	g_mutex_unlock(&v->lock);
	session_end(v->session, reason, "%s", why);
}

static gboolean end_in_home(gpointer data)
{
	end_session(data, VOLET_REASON_INTERNAL, "no reason was given");
	return G_SOURCE_REMOVE;
}

static gboolean end_in_net(gpointer data)
{
	g_main_context_invoke(((struct viewer *)data)->home, end_in_home, data);
	return G_SOURCE_REMOVE;
}

static void attach(GSource *source, GSourceFunc func, struct viewer *v, GMainContext *context)
{
	g_source_set_callback(source, func, v, NULL);
	g_source_attach(source, context);
	g_source_unref(source);
}

void viewer_end(struct viewer *v, enum volet_reason reason, const char *why)
{
	bool first;

	g_mutex_lock(&v->lock);
	first = !v->end_why;
	if (first) {
		v->end_reason = reason;
		v->end_why = why;
	}
	g_mutex_unlock(&v->lock);
	if (first)
		attach(g_idle_source_new(), end_in_net, v, v->net);
}

/* Ends that leave nothing in the socket that should not reach the viewer. */
static bool is_polite(enum volet_reason reason)
{
	return reason == VOLET_REASON_CLIENT_GONE || reason == VOLET_REASON_CREDENTIALS ||
	       reason == VOLET_REASON_PROTOCOL || reason == VOLET_REASON_NO_FRAME ||
	       reason == VOLET_REASON_CAMERA_GONE || reason == VOLET_REASON_REBOUND;
}

static void ended(void *data, enum volet_reason reason, const char *why)
{
	struct viewer *v = data;
	const struct volet_ctl_sent *sent = session_figures(v->session);

	say(session_name(v->session), "ended: %s (%s); %llu frames, %llu bytes sent, %llu dropped",
	    volet_reason_text(reason), why, (unsigned long long)sent->frames,
	    (unsigned long long)sent->bytes, (unsigned long long)sent->dropped);
	if (is_polite(reason)) {
		gate_no_picture(v);
		shutdown(v->socket, SHUT_WR);
	}
}

static void left(void *data G_GNUC_UNUSED, enum volet_reason reason)
{
	/* No clean-up that could wait: other threads run, and the kernel takes all of it back. */
	_exit(reason == VOLET_REASON_CLIENT_GONE || reason == VOLET_REASON_OWNER ||
	      reason == VOLET_REASON_SHUTDOWN ? EXIT_SUCCESS : 2);
}

/* ---- home --------------------------------------------------------------------------- */

static void granted(void *data, const struct volet_ctl_granted *grant,
		    const struct volet_frame_memory *layout)
{
	struct viewer *v = data;

	say(session_name(v->session), "granted: %ux%u, age limit %u ms", layout->width,
	    layout->height, grant->age_limit_ms);
	v->stuck_ns = (STUCK_MS + grant->age_limit_ms) * UINT64_C(1000000);
	desk_granted(v, grant, layout);
}

static void frame(void *data, const struct volet_frame_stamp *stamp, const uint8_t *payload)
{
	feeder_offer(((struct viewer *)data)->feeder, stamp, payload);
}

/* The other thread may be deep in GStreamer and not see its connection die. */
static gboolean hung_up(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED,
			gpointer data)
{
	end_session(data, VOLET_REASON_CLIENT_GONE, "the viewer hung up");
	return G_SOURCE_REMOVE;
}

static gboolean tick(gpointer data)
{
	struct viewer *v = data;
	struct volet_frame_stamp stamp;
	uint64_t age;
	gint64 silent;

	if (writer_is_late(v->writer, &age)) {
		session_end(v->session, VOLET_REASON_TOO_OLD, "the viewer has not taken bytes of"
			    " %llu ms ago", (unsigned long long)(age / 1000000));
		return G_SOURCE_REMOVE;
	}
	if (feeder_current(v->feeder, &stamp) &&
	    session_now_ns() - stamp.captured_ns > v->stuck_ns) {
		session_end(v->session, VOLET_REASON_INTERNAL, "a frame is stuck in the pipeline");
		return G_SOURCE_REMOVE;
	}
	g_mutex_lock(&v->lock);
	/* In the connection, bytes that aren't taken tell of a viewer who is gone; by UDP nothing does. */
	silent = v->playing && !v->udp ? 0 : g_get_monotonic_time() - v->heard;
	g_mutex_unlock(&v->lock);
	if (silent > IDLE_S * G_USEC_PER_SEC) {
		session_end(v->session, VOLET_REASON_CLIENT_GONE, "nothing heard for %d s", IDLE_S);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static gpointer serve_net(gpointer data)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(data, FALSE);

	g_main_loop_run(loop);
	return NULL;
}

/* ---- start -------------------------------------------------------------------------- */

static void prepare_socket(int fd)
{
	int buffer = SEND_BUFFER, yes = 1, patience_ms = 20000;

	/* Each is a help, none a need: a socket that is gone already fails all of them. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
}

static void refuse(const char *why)
{
	say("-", "refused to run: %s", why);
	exit(EXIT_FAILURE);
}

int main(void)
{
	static const struct session_ops ops = {
		.nonce = desk_nonce, .denied = desk_denied, .granted = granted, .udp = desk_udp,
		.frame = frame, .ended = ended, .left = left,
	};
	struct viewer *v = g_new0(struct viewer, 1);
	GstRTSPThread *thread;
	char why[MAX(SANDBOX_WHY_MAX, SESSION_WHY_MAX)];

	/* Nothing of what runs here is to be led by an environment. */
	clearenv();
	/* One session is one flow of small allocations; an arena per thread is wasted on it. */
	mallopt(M_ARENA_MAX, 1);
	if (!sandbox_check_start(VOLET_FD_EXTRA, why) || !media_init(why))
		refuse(why);
#ifdef VOLET_FAULT_UNCHECKED
	say("-", "BUILT WITH THE FAULT \"unchecked\": IT SENDS WHATEVER IT IS GIVEN."
	    " FOR TESTS ONLY.");
#endif
	thread = gst_rtsp_thread_new(GST_RTSP_THREAD_TYPE_MEDIA);
	v->socket = VOLET_FD_EXTRA;
	v->home = thread->context;
	v->net = g_main_context_new();
	v->pool = media_thread_pool_new(thread);
	prepare_socket(v->socket);
	if (!gate_open(v, why))
		refuse(why);
	v->session = session_new(VOLET_FD_CONTROL, &ops, v, v->home);
	v->feeder = feeder_new(v->session, v->home);
	v->writer = writer_new(v->socket, v->watch, v->feeder);
	attach(g_unix_fd_source_new(v->socket, G_IO_HUP | G_IO_ERR | (GIOCondition)POLLRDHUP),
	       G_SOURCE_FUNC(hung_up), v, v->home);
	attach(g_timeout_source_new(TICK_MS), tick, v, v->home);
	if (!sandbox_apply(why))
		refuse(why);
	g_thread_unref(g_thread_new("net", serve_net, v->net));
	g_main_loop_run(thread->loop);
	return EXIT_SUCCESS;
}
