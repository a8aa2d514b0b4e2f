// SPDX-License-Identifier: MIT
/* An RTSP client for tests; see rtsp-client.h. */
#include "rtsp-client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client *client_new(unsigned int port, const char *camera)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct client *c = g_new0(struct client, 1);

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	c->url = g_strdup_printf("rtsp://127.0.0.1:%u/%s", port, camera);
	c->in = g_byte_array_new();
	c->frames = g_array_new(FALSE, FALSE, sizeof(struct client_frame));
	return c;
}

void client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	g_byte_array_unref(c->in);
	g_array_unref(c->frames);
	g_free(c->url);
	g_free(c->session);
	g_free(c->nonce);
	g_free(c);
}

void client_send(struct client *c, const char *bytes, gssize n)
{
	(void)!send(c->fd, bytes, n < 0 ? strlen(bytes) : (size_t)n, MSG_NOSIGNAL);
}

/* ---- what comes --------------------------------------------------------------------- */

static uint32_t rtp_time(const uint8_t *p)
{
	return (uint32_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7];
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* One RTP packet of RTP/H.264 (RFC 6184). */
static void take_h264(struct client *c, const uint8_t *p, size_t n)
{
	struct client_frame empty = { .rtp_time = rtp_time(p) };
	struct client_frame *frame;

	g_assert_cmpuint(n, >, 12);
	if (!c->inside) {
		empty.unit = p[12] & 31;
		g_array_append_val(c->frames, empty);
	}
	frame = &g_array_index(c->frames, struct client_frame, c->frames->len - 1);
	g_assert_cmpuint(rtp_time(p), ==, frame->rtp_time);
	frame->bytes += (unsigned int)(n - 12);
	frame->received_ns = now_ns();
	c->inside = !(p[1] & 0x80);
}

/* One RTP packet of RTP/JPEG (RFC 2435), without restart markers. */
static void take_jpeg(struct client *c, const uint8_t *p, size_t n)
{
	unsigned int offset = (unsigned int)p[13] << 16 | p[14] << 8 | p[15];
	bool last = p[1] & 0x80;
	struct client_frame *frame;
	size_t head = 20;

	g_assert_cmpuint(n, >, head);
	if (offset == 0) {
		struct client_frame empty = { 0 };

		c->broken += c->inside;
		c->inside = true;
		c->next_offset = 0;
		if (p[17] >= 128)	/* Q: tables in band */
			head += 4 + (size_t)(p[22] << 8 | p[23]);
		g_array_append_val(c->frames, empty);
		frame = &g_array_index(c->frames, struct client_frame, c->frames->len - 1);
		frame->rtp_time = rtp_time(p);
		if (n - head >= sizeof(frame->scan))
			memcpy(&frame->scan, p + head, sizeof(frame->scan));
	}
	g_assert_true(c->inside);
	frame = &g_array_index(c->frames, struct client_frame, c->frames->len - 1);
	if (offset != c->next_offset)
		g_error("a gap in a frame: %u, expected %u", offset, c->next_offset);
	frame->bytes += (unsigned int)(n - head);
	c->next_offset = offset + (unsigned int)(n - head);
	if (last) {
		frame->received_ns = now_ns();
		c->inside = false;
	}
}

static void take_header(char **field, const char *text, const char *name, const char *end)
{
	const char *at = strstr(text, name);

	if (!at)
		return;
	at += strlen(name);
	g_free(*field);
	*field = g_strndup(at, strcspn(at, end));
}

/* Take one thing off the front: a packet, or a response into `text`. False: nothing whole. */
static bool take_one(struct client *c, char **text)
{
	const uint8_t *p = c->in->data;
	size_t n = c->in->len, size;
	char *head, *length;

	*text = NULL;
	if (n < 4)
		return false;
	if (p[0] == '$') {
		size = 4 + (size_t)(p[2] << 8 | p[3]);
		if (n < size)
			return false;
		if (p[1] == 0)
			(c->h264 ? take_h264 : take_jpeg)(c, p + 4, size - 4);
		g_byte_array_remove_range(c->in, 0, (guint)size);
		return true;
	}
	head = g_strstr_len((const char *)p, (gssize)n, "\r\n\r\n");
	if (!head)
		return false;
	size = (size_t)(head + 4 - (const char *)p);
	length = g_strstr_len((const char *)p, (gssize)size, "Content-Length: ");
	if (length)
		size += (size_t)atoi(length + 16);
	if (n < size)
		return false;
	*text = g_strndup((const char *)p, size);
	g_byte_array_remove_range(c->in, 0, (guint)size);
	take_header(&c->session, *text, "Session: ", ";\r");
	take_header(&c->nonce, *text, "nonce=\"", "\"");
	c->stale = strstr(*text, "stale=true") != NULL;
	return true;
}

/* Wait for more bytes until `end`; false when there are none or the peer is gone. */
static bool receive(struct client *c, gint64 end)
{
	struct pollfd p = { c->fd, POLLIN, 0 };
	gint64 left = (end - g_get_monotonic_time()) / 1000;
	uint8_t bytes[65536];
	ssize_t n;

	if (c->gone || poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
		return false;
	n = recv(c->fd, bytes, c->read_max ? c->read_max : sizeof(bytes), 0);
	if (n <= 0) {
		c->gone = true;
	} else {
		g_byte_array_append(c->in, bytes, (guint)n);
		c->received += (uint64_t)n;
	}
	return n > 0;
}

int client_response(struct client *c, int timeout_ms, char **text)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;
	int status;

	for (;;) {
		char *got;

		while (take_one(c, &got)) {
			if (!got)
				continue;
			g_assert_true(g_str_has_prefix(got, "RTSP/1.0 ") || g_str_has_prefix(got, "HTTP/1."));
			status = atoi(strchr(got, ' '));
			if (text)
				*text = got;
			else
				g_free(got);
			return status;
		}
		if (!receive(c, end))
			return c->gone ? 0 : -1;
	}
}

/* ---- what is asked ------------------------------------------------------------------ */

int client_request(struct client *c, const char *method, const char *url, const char *headers,
		   int timeout_ms, char **text)
{
	g_autofree char *session = c->session ? g_strdup_printf("Session: %s\r\n", c->session) : NULL;
	g_autofree char *request = g_strdup_printf("%s %s RTSP/1.0\r\nCSeq: %u\r\n%s%s\r\n", method,
		url ? url : c->url, ++c->cseq, session ? session : "", headers ? headers : "");

	client_send(c, request, -1);
	return timeout_ms ? client_response(c, timeout_ms, text) : -1;
}

static char *md5(const char *format, ...) G_GNUC_PRINTF(1, 2);

static char *md5(const char *format, ...)
{
	va_list args;
	g_autofree char *text = NULL;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	return g_compute_checksum_for_string(G_CHECKSUM_MD5, text, -1);
}

char *client_authorization(struct client *c, const char *viewer, const char *password,
			   const char *method, const char *url)
{
	g_autofree char *ha1 = md5("%s:" VOLET_REALM ":%s", viewer, password);
	g_autofree char *ha2 = md5("%s:%s", method, url ? url : c->url);
	g_autofree char *response = md5("%s:%s:%s", ha1, c->nonce, ha2);

	return g_strdup_printf("Authorization: Digest username=\"%s\", realm=\"" VOLET_REALM "\", "
			       "nonce=\"%s\", uri=\"%s\", response=\"%s\"\r\n", viewer, c->nonce,
			       url ? url : c->url, response);
}

void client_describe(struct client *c)
{
	g_autofree char *authorization = NULL, *text = NULL;

	g_assert_cmpint(client_request(c, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	authorization = client_authorization(c, "alice", "right", "DESCRIBE", NULL);
	g_assert_cmpint(client_request(c, "DESCRIBE", NULL, authorization, TIMEOUT_MS, &text), ==, 200);
	g_assert_nonnull(strstr(text, "m=video 0 RTP/AVP 26"));
}

void client_setup(struct client *c)
{
	g_autofree char *url = g_strconcat(c->url, "/stream=0", NULL);

	g_assert_cmpint(client_request(c, "SETUP", url,
		"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", TIMEOUT_MS, NULL), ==, 200);
	g_assert_nonnull(c->session);
}

void client_play(struct client *c)
{
	g_assert_cmpint(client_request(c, "PLAY", NULL, "Range: npt=0.000-\r\n", TIMEOUT_MS, NULL), ==, 200);
}

void client_read_frames(struct client *c, unsigned int n, int timeout_ms)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;
	char *text;

	for (;;) {
		while (take_one(c, &text))
			g_free(text);
		if (c->frames->len - c->inside >= n || !receive(c, end))
			return;
	}
}

void client_read_some(struct client *c)
{
	char *text;

	receive(c, 0);
	while (take_one(c, &text))
		g_free(text);
}

bool client_wait_gone(struct client *c, int timeout_ms)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;
	char *text;

	while (receive(c, end))
		;
	while (take_one(c, &text))
		g_free(text);
	return c->gone;
}
