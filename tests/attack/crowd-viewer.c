// SPDX-License-Identifier: MIT
/* One viewer's life, again and again; see crowd.h. */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OPEN_MS		25000	/* from connect() to the answer of PLAY */
#define DEAF_MS		60000	/* the streamer must have ended it by then */
#define AGAIN_MS	500
#define RATE_MS		4000	/* shorter sessions have no rate worth the name */

enum state { AWAY, CONNECTING, ASKED, SET_UP, STARTED, PLAYING, STALLED, DEAF, LEAVING };

struct viewer {
	struct crowd *crowd;
	const struct right *right;
	enum state state;
	int fd;
	int64_t due_ms, end_ms, opened_ms, shown_ms, playing_ms, paused_ms;
	uint64_t opened_ns;
	enum fault plan;
	bool will_stall, first_packet;
	unsigned int cseq, port, frames;
	uint32_t last_seq;
	char *url, *nonce, *session;
	GByteArray *in;
	struct picture picture;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static int between(struct viewer *v, int low, int high)
{
	return g_rand_int_range(v->crowd->rand, low, high);
}

static void watch(struct viewer *v, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = v };

	epoll_ctl(v->crowd->epoll, EPOLL_CTL_MOD, v->fd, &event);
}

/* ---- coming and going ------------------------------------------------------------------ */

static void count_rate(struct viewer *v, int64_t now)
{
	double ms = (double)(now - v->playing_ms - v->paused_ms), rate;

	if (!v->playing_ms || ms < RATE_MS)
		return;
	rate = v->frames * 1000.0 / ms;
	g_array_append_val(v->crowd->figures.rates, rate);
}

static void give_port_back(struct viewer *v, int64_t now)
{
	unsigned int n = v->port - v->crowd->ports_first;

	if (!v->port)
		return;
	v->crowd->port_taken[n] = false;
	v->crowd->port_left_ms[n] = now;
	v->crowd->port_of[n] = v->right;
	v->port = 0;
}

/* The connection is over, whoever ended it; the next one comes in a moment. */
static void gone(struct viewer *v, int64_t now)
{
	if (v->state < PLAYING && v->state > AWAY)
		v->crowd->opening--;
	count_rate(v, now);
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	give_port_back(v, now);
	g_clear_pointer(&v->nonce, g_free);
	g_clear_pointer(&v->session, g_free);
	g_byte_array_set_size(v->in, 0);
	v->picture.inside = false;
	v->playing_ms = 0;
	v->state = AWAY;
	v->due_ms = now + between(v, 0, AGAIN_MS);
}

static void ended(struct viewer *v, int64_t now)
{
	struct figures *f = &v->crowd->figures;

	if (v->state >= PLAYING && v->state != LEAVING)
		f->faults[FAULT_ENDED]++;
	else if (v->state < PLAYING)
		f->refused++;
	gone(v, now);
}

static void reset(struct viewer *v)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Any port of the range that no viewer has now; those left last come first, the likelier to be late. */
static bool take_port(struct viewer *v, int64_t now)
{
	struct crowd *c = v->crowd;
	unsigned int i, best = c->ports_count;
	struct sockaddr_in any = { .sin_family = AF_INET };
	int one = 1;

	for (i = 0; i < c->ports_count; i++)
		if (!c->port_taken[i] && (best == c->ports_count ||
					  c->port_left_ms[i] > c->port_left_ms[best]))
			best = i;
	if (best == c->ports_count)
		return false;
	any.sin_port = htons((uint16_t)(c->ports_first + best));
	setsockopt(v->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(v->fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		/* Not free yet: others first. */
		c->port_left_ms[best] = 0;
		return false;
	}
	c->port_taken[best] = true;
	v->port = c->ports_first + best;
	if (c->port_of[best] && c->port_of[best] != v->right && now - c->port_left_ms[best] < 1000)
		c->figures.port_again++;
	return true;
}

static void make_plan(struct viewer *v)
{
	static const enum fault plans[] = {
		FAULT_TEARDOWN, FAULT_CLOSE, FAULT_CLOSE, FAULT_RESET, FAULT_RESET, FAULT_DEAF,
	};

	v->plan = plans[between(v, 0, G_N_ELEMENTS(plans))];
	v->will_stall = between(v, 0, 4) == 0;
}

static void come(struct viewer *v, int64_t now)
{
	struct crowd *c = v->crowd;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port) };
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = v };
	int small = 4096, one = 1;

	v->due_ms = now + between(v, 10, 100);
	if (c->opening >= c->opening_max)
		return;
	inet_pton(AF_INET, c->address, &to.sin_addr);
	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	make_plan(v);
	if (v->plan == FAULT_DEAF || v->will_stall)
		setsockopt(v->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (v->fd < 0 || (c->ports_count && !take_port(v, now))) {
		if (v->fd >= 0)
			close(v->fd);
		v->fd = -1;
		return;
	}
	v->opened_ms = now;
	v->opened_ns = clock_ns();
	c->figures.attempts++;
	c->opening++;
	v->state = CONNECTING;
	v->due_ms = now + OPEN_MS;
	v->frames = v->cseq = 0;
	v->paused_ms = v->playing_ms = 0;
	v->first_packet = true;
	if ((connect(v->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, v->fd, &event) < 0) {
		c->figures.refused++;
		gone(v, now);
	}
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool ask(struct viewer *v, const char *method, const char *track, const char *headers,
		enum state next)
{
	g_autofree char *url = g_strconcat(v->url, track, NULL);
	g_autofree char *text = rtsp_request(method, url, ++v->cseq, v->right, v->nonce, v->session,
					     headers);

	v->state = next;
	return send(v->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void play(struct viewer *v, int64_t now)
{
	v->state = PLAYING;
	v->crowd->opening--;
	v->playing_ms = v->shown_ms = now;
	v->end_ms = now + (int64_t)(-log(1 - g_rand_double(v->crowd->rand)) * v->crowd->life_ms);
	v->due_ms = now + (v->will_stall ? between(v, 500, 3000) : 1000);
}

/* False when the answer is not the one that goes on. */
static bool answered(struct viewer *v, const char *text, int64_t now)
{
	int status = strncmp(text, "RTSP/1.0 ", 9) ? 0 : atoi(text + 9);

	if (v->state == ASKED && status == 401 && !v->nonce) {
		v->nonce = rtsp_field(text, "nonce=\"", "\"");
		return v->nonce && ask(v, "DESCRIBE", "", "Accept: application/sdp\r\n", ASKED);
	}
	if (status != 200)
		return false;
	if (v->state == ASKED)
		return ask(v, "SETUP", "/stream=0",
			   "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", SET_UP);
	if (v->state == SET_UP) {
		v->session = rtsp_field(text, "Session: ", ";\r");
		if (!v->session)
			return false;
		if (!g_hash_table_add(v->crowd->figures.ids, g_strdup(v->session)))
			v->crowd->figures.id_again++;
		return ask(v, "PLAY", "", "Range: npt=0.000-\r\n", STARTED);
	}
	if (v->state == STARTED)
		play(v, now);
	return true;
}

/* ---- what is shown ------------------------------------------------------------------------- */

static void shown(struct viewer *v, int64_t now)
{
	struct crowd *c = v->crowd;
	struct figures *f = &c->figures;
	const struct tag_picture pic = {
		.luma = c->luma, .width = c->width, .height = c->height,
		.stride = (c->width + 7) / 8 * 8, .cell = c->cell,
	};
	struct tag tag, other;
	double ms;

	if (!picture_decode(&v->picture, c)) {
		f->unreadable++;
		return;
	}
	if (!tag_read(&pic, 0, &tag)) {
		/* The streamer's own picture, of no camera. */
		if (tag_blank(&pic))
			f->no_signal++;
		else
			f->unreadable++;
		v->shown_ms = now;
		return;
	}
	f->torn += tag_read(&pic, 1, &other) && memcmp(&tag, &other, sizeof(tag));
	f->frames++;
	f->foreign += tag.camera != v->right->number;
	f->early += tag.time_ns < v->opened_ns;
	f->disorder += v->frames && tag.seq <= v->last_seq;
	v->last_seq = tag.seq;
	v->shown_ms = now;
	if (v->frames++)
		return;
	f->sessions++;
	ms = (double)(now - v->opened_ms);
	g_array_append_val(f->first_ms, ms);
}

static void packet(struct viewer *v, const uint8_t *data, size_t n, int64_t now)
{
	struct figures *f = &v->crowd->figures;

	if (data[1] != 0 || n < 4 + 12)
		return;
	if (v->first_packet) {
		uint32_t ssrc;

		memcpy(&ssrc, data + 4 + 8, sizeof(ssrc));
		f->ssrc_again += !g_hash_table_add(f->ssrcs, GUINT_TO_POINTER(ssrc));
		v->first_packet = false;
	}
	switch (picture_packet(&v->picture, data + 4, n - 4)) {
	case PICTURE_WHOLE:
		shown(v, now);
		break;
	case PICTURE_BROKEN:
		f->broken++;
		break;
	case PICTURE_NONE:
		break;
	}
}

/* All that is whole; false when the viewer is to go. */
static bool take(struct viewer *v, int64_t now)
{
	size_t at = 0, size;
	bool ok = true;

	while (ok && (size = rtsp_size(v->in->data + at, v->in->len - at))) {
		const uint8_t *data = v->in->data + at;

		if (data[0] == '$') {
			packet(v, data, size, now);
		} else {
			g_autofree char *text = g_strndup((const char *)data, size);

			ok = v->state == LEAVING ? false : answered(v, text, now);
		}
		at += size;
	}
	if (at)
		g_byte_array_remove_range(v->in, 0, (guint)at);
	return ok && v->in->len < 1 << 20;
}

void viewer_event(struct viewer *v, int64_t now)
{
	uint8_t data[32768];
	ssize_t n;

	if (v->fd < 0)
		return;
	if (v->state == CONNECTING) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error || !ask(v, "DESCRIBE", "", "Accept: application/sdp\r\n", ASKED)) {
			ended(v, now);
			return;
		}
		watch(v, EPOLLIN);
		return;
	}
	n = recv(v->fd, data, sizeof(data), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || v->state == DEAF || v->state == STALLED) {
		/* Without EPOLLIN an event is the end of the connection. */
		ended(v, now);
		return;
	}
	g_byte_array_append(v->in, data, (guint)n);
	if (take(v, now))
		return;
	if (v->state != LEAVING)
		v->crowd->figures.refused++;
	gone(v, now);
}

/* ---- what it does by itself ------------------------------------------------------------------ */

static void leave(struct viewer *v, int64_t now)
{
	struct figures *f = &v->crowd->figures;

	f->faults[v->plan]++;
	switch (v->plan) {
	case FAULT_TEARDOWN:
		ask(v, "TEARDOWN", "", "", LEAVING);
		v->due_ms = now + 2000;
		break;
	case FAULT_DEAF:
		v->state = DEAF;
		watch(v, 0);
		v->due_ms = now + DEAF_MS;
		count_rate(v, now);
		v->playing_ms = 0;
		break;
	case FAULT_RESET:
		reset(v);
		/* fall through */
	default:
		gone(v, now);
	}
}

static void playing_tick(struct viewer *v, int64_t now)
{
	struct figures *f = &v->crowd->figures;

	if (now >= v->end_ms) {
		leave(v, now);
	} else if (v->will_stall) {
		v->will_stall = false;
		f->faults[FAULT_STALL]++;
		v->state = STALLED;
		watch(v, 0);
		v->due_ms = now + between(v, 200, 1500);
		v->paused_ms += v->due_ms - now;
	} else if (now - v->shown_ms > v->crowd->silent_ms) {
		f->silent++;
		reset(v);
		gone(v, now);
	} else {
		v->due_ms = MIN(v->end_ms, now + 1000);
	}
}

void viewer_tick(struct viewer *v, int64_t now)
{
	if (now < v->due_ms)
		return;
	switch (v->state) {
	case AWAY:
		come(v, now);
		break;
	case PLAYING:
		playing_tick(v, now);
		break;
	case STALLED:
		v->state = PLAYING;
		watch(v, EPOLLIN);
		v->due_ms = now + 1000;
		break;
	default:
		/* An answer is missing, or the streamer leaves a deaf viewer its place. */
		v->crowd->figures.failed += v->state != LEAVING;
		reset(v);
		gone(v, now);
	}
}

void viewer_leave(struct viewer *v, int64_t now)
{
	if (v->fd < 0)
		return;
	reset(v);
	gone(v, now);
}

struct viewer *viewer_new(struct crowd *crowd, const struct right *right, int64_t at_ms)
{
	struct viewer *v = g_new0(struct viewer, 1);

	v->crowd = crowd;
	v->right = right;
	v->fd = -1;
	v->due_ms = at_ms;
	v->url = g_strdup_printf("rtsp://%s:%u/%s", crowd->address, crowd->port, right->camera);
	v->in = g_byte_array_new();
	v->picture.scan = g_byte_array_new();
	return v;
}

void viewer_free(struct viewer *v)
{
	g_byte_array_unref(v->in);
	g_byte_array_unref(v->picture.scan);
	g_free(v->url);
	g_free(v);
}
