// SPDX-License-Identifier: MIT
/*
 * m2mcheck: drives a stateful encoder through m2m.h, as volet-cam does, and further than it does:
 *
 *   m2mcheck NODE >FILE
 *
 * For each of several sizes, one context after the other on the same node, and two at once:
 * pictures of a test camera are put in, two at a time without a frame being taken; the encoder
 * is drained; all of them have to come out, in order, with the stamps of their pictures, before
 * the last. Then the same context starts anew and begins with a key frame. The coded frames of
 * the first size go to standard output, each after a header as v4l2-ctl's --stream-from-hdr reads
 * it. Exits with 0 when all was so; says what was seen on standard error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "fwht.h"
#include "m2m.h"
#include "testcam.h"

#define WAIT_NS	(20 * G_GUINT64_CONSTANT(1000000000))
#define BURST	2
#define ROUNDS	5

static const guint sizes[][2] = { { 1280, 720 }, { 640, 360 }, { 968, 544 } };

static _Noreturn void fail(const char *what, const GError *error)
{
	fprintf(stderr, "m2mcheck: %s%s%s\n", what, error ? ": " : "", error ? error->message : "");
	exit(1);
}

static struct m2m *open_context(const char *node, int udmabuf, guint width, guint height)
{
	g_autoptr(GError) error = NULL;
	const struct m2m_config config = {
		.node = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK), .name = node,
		.coded = V4L2_PIX_FMT_FWHT, .width = width, .height = height, .udmabuf = udmabuf,
	};
	struct m2m *m = config.node < 0 ? NULL : m2m_new(&config, &error);

	if (!m)
		fail("a context", error);
	return m;
}

static void write_frame(const struct m2m_coded *coded)
{
	guint32 head[2] = { htonl(v4l2_fourcc('V', 'h', 'd', 'r')), htonl((guint32)coded->length) };

	if (fwrite(head, sizeof(head), 1, stdout) != 1 ||
	    fwrite(coded->data, coded->length, 1, stdout) != 1)
		fail("writing", NULL);
}

/* Whole, its picture's stamp, and a key frame where one has to be. */
static gboolean good(const struct m2m_coded *coded, const struct testcam *t, guint64 expected_us,
		     gboolean first)
{
	gboolean key;

	return !coded->error && coded->captured_us == expected_us &&
	       !fwht_check(coded->data, coded->length, t->width, t->height, &key) && (key || !first);
}

static void put(struct m2m *m, struct testcam *t, guint64 when)
{
	struct raw_picture picture = { .stride = t->width, .captured_ns = when, .dmabuf = -1 };
	g_autoptr(GError) error = NULL;

	testcam_draw(t, when);
	picture.y = t->y;
	picture.uv = t->uv;
	if (!m2m_put(m, &picture, &error))
		fail("putting a picture", error);
}

/* Puts BURST pictures, drains, and takes all; the first has to be a key frame. */
static void burst(struct m2m *m, struct testcam *t, gboolean writes, guint64 *when)
{
	g_autoptr(GError) error = NULL;
	enum m2m_result result = M2M_CODED;
	guint64 expected = *when / 1000;
	struct m2m_coded coded;
	guint i, n = 0;

	for (i = 0; i < BURST; i++, *when += 40000000)
		put(m, t, *when);
	if (!m2m_drain(m, &error))
		fail("draining", error);
	while (result == M2M_CODED) {
		result = m2m_take(m, capture_now() + WAIT_NS, &coded, &error);
		if (result == M2M_FAILED || result == M2M_NONE)
			fail("no last frame came of a drain", error);
		if (!coded.length)
			continue;
		if (!good(&coded, t, expected + n * 40000, !n))
			fail("a frame is not the next, or not the key frame that it should be", NULL);
		if (writes)
			write_frame(&coded);
		n++;
		if (!m2m_return(m, &coded, &error))
			break;
	}
	if (n != BURST)
		fail("not all that was put in came out of the drain", NULL);
	m2m_stop(m);
}

static void check_size(const char *node, int udmabuf, guint index)
{
	guint width = sizes[index][0], height = sizes[index][1], i;
	struct m2m *m = open_context(node, udmabuf, width, height);
	struct testcam t = { 0 };
	guint64 when = 1000000000;

	testcam_init(&t, "cam-7", width, height, 25);
	for (i = 0; i < ROUNDS; i++)
		burst(m, &t, index == 0, &when);
	fprintf(stderr, "%ux%u: %u frames of %u drains, %s memory\n", width, height, BURST * ROUNDS,
		ROUNDS, m2m_weak(m) ? "the driver's" : "own");
	testcam_free(&t);
	m2m_free(m);
}

/* Two contexts of two sizes at once on one node don't disturb each other. */
static void check_pair(const char *node, int udmabuf)
{
	struct m2m *m[2] = { open_context(node, udmabuf, sizes[1][0], sizes[1][1]),
			     open_context(node, udmabuf, sizes[2][0], sizes[2][1]) };
	guint64 when[2] = { 1000000000, 5000000000 };
	struct testcam t[2] = { 0 };
	guint i;

	for (i = 0; i < 2; i++)
		testcam_init(&t[i], "cam-7", sizes[1 + i][0], sizes[1 + i][1], 25);
	for (i = 0; i < 2 * ROUNDS; i++)
		burst(m[i % 2], &t[i % 2], FALSE, &when[i % 2]);
	for (i = 0; i < 2; i++) {
		testcam_free(&t[i]);
		m2m_free(m[i]);
	}
	fprintf(stderr, "two contexts of two sizes: %u drains\n", 2 * ROUNDS);
}

int main(int argc, char **argv)
{
	int udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	guint i;

	if (argc != 2) {
		fprintf(stderr, "usage: m2mcheck NODE >FILE\n");
		return 2;
	}
	for (i = 0; i < G_N_ELEMENTS(sizes); i++)
		check_size(argv[1], udmabuf, i);
	check_pair(argv[1], udmabuf);
	return fflush(stdout) ? 1 : 0;
}
