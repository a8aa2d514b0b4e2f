// SPDX-License-Identifier: MIT
/*
 * The machine's own encoders, made up (fake-m2m.h): found by what they can do, memory, key
 * frames, drain, and each fault: it is a frame that is lost or an error in time, never a wait
 * without end and never somebody else's frame. No device is behind this; tests/e2e/m2m.py has
 * the kernel's vicodec.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "annexb.h"
#include "capture.h"
#include "encode.h"
#include "fake-m2m.h"
#include "hardware.h"

#define WIDTH	320
#define HEIGHT	192
#define LUMA	(WIDTH * HEIGHT)
#define UDMABUF	1000	/* no descriptor: the fake makes DMA-bufs of any */
#define MS	G_GUINT64_CONSTANT(1000000)

static struct hardware_config config_of(const char *directory, enum volet_codec codec)
{
	return (struct hardware_config){
		.directory = directory, .codec = codec, .width = WIDTH, .height = HEIGHT,
		.bitrate_kbit = 700, .quality = 80, .udmabuf = UDMABUF,
	};
}

static void draw(guint8 *pic, guint n)
{
	guint i;

	for (i = 0; i < LUMA; i++)
		pic[i] = (guint8)((i % WIDTH + n * 7) / 40 * 30);
	memset(pic + LUMA, 128, LUMA / 2);
}

/* FALSE with an error, or TRUE; a `*length` of 0 when the frame was lost. */
static gboolean encode_one(struct hardware *h, guint n, gboolean *key, gsize *length,
			   GError **error)
{
	g_autofree guint8 *pic = g_malloc(LUMA * 3 / 2);
	const struct raw_picture picture = {
		.y = pic, .uv = pic + LUMA, .stride = WIDTH, .captured_ns = (n + 1) * 40 * MS,
		.dmabuf = -1,
	};
	struct annexb_frame frame;
	struct annexb *check;
	const guint8 *data;

	draw(pic, n);
	if (!hardware_nv12(h, &picture, key, &data, length, error))
		return FALSE;
	if (*length && *key && data[0] == 0) {
		/* Whatever the encoder left out, a key frame has its parameter sets. */
		check = annexb_new(WIDTH, HEIGHT);
		g_assert_null(annexb_check(check, data, *length, &frame));
		g_assert_true(frame.key && frame.length == *length);
		annexb_free(check);
	}
	return TRUE;
}

static void encode_some(struct hardware *h, guint n, guint *keys)
{
	g_autoptr(GError) error = NULL;
	gboolean key;
	gsize length;
	guint i;

	for (i = 0, *keys = 0; i < n; i++) {
		key = i % 5 == 0;
		g_assert_true(encode_one(h, i, &key, &length, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(length, >, 0);
		*keys += key;
	}
}

static void encoder(struct fake_node *node, guint32 coded)
{
	*node = (struct fake_node){ .kind = FAKE_ENCODER, .coded = coded, .can_force = TRUE };
}

/* Cameras, decoders and encoders of other codecs are passed by. */
static void test_found(void)
{
	char *directory = fake_m2m_directory(4);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	g_autoptr(GError) error = NULL;
	struct hardware *h;
	guint keys;

	fake_nodes[0].kind = FAKE_CAMERA;
	fake_nodes[0].coded = V4L2_PIX_FMT_H264;
	encoder(&fake_nodes[1], V4L2_PIX_FMT_H264);
	fake_nodes[1].kind = FAKE_DECODER;
	encoder(&fake_nodes[2], V4L2_PIX_FMT_JPEG);
	g_assert_null(hardware_new(&config, &error));
	g_assert_true(g_str_has_prefix(error->message, "encoder = hardware: none of the 4 video nodes"));
	g_assert_true(g_str_has_suffix(error->message, "write encoder = software"));
	encoder(&fake_nodes[3], V4L2_PIX_FMT_H264);
	h = hardware_new(&config, NULL);
	g_assert_nonnull(h);
	encode_some(h, 3, &keys);
	g_assert_cmpuint(fake_nodes[3].frames, ==, 4);	/* one to try it */
	g_assert_cmpint(fake_nodes[3].bitrate, ==, 700000);
	hardware_free(h);
	g_assert_cmpuint(fake_nodes[3].open_buffers, ==, 0);
	fake_m2m_end(directory);
}

/* A first one that is no good is not the end when there is a second. */
static void test_second(void)
{
	char *directory = fake_m2m_directory(2);
	struct hardware_config config = config_of(directory, VOLET_CODEC_JPEG);
	struct hardware *h;
	guint keys;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_JPEG);
	fake_nodes[0].error_at = 1;
	fake_nodes[0].error_count = 1000;
	encoder(&fake_nodes[1], V4L2_PIX_FMT_JPEG);
	h = hardware_new(&config, NULL);
	encode_some(h, 10, &keys);
	g_assert_cmpuint(keys, ==, 10);
	g_assert_cmpint(fake_nodes[1].quality, ==, 80);
	hardware_free(h);
	fake_m2m_end(directory);
}

/* One plane or two, padded or not, APIs of one and of several planes: the right picture. */
static void test_forms(void)
{
	static const struct { gboolean mplane, two; guint lines, stride; } forms[] = {
		{ FALSE, FALSE, 0, 0 }, { TRUE, FALSE, 0, 0 }, { TRUE, TRUE, 0, 0 },
		{ TRUE, FALSE, 8, 64 }, { FALSE, FALSE, 8, 64 }, { TRUE, TRUE, 8, 64 },
	};
	guint i, keys;

	for (i = 0; i < G_N_ELEMENTS(forms); i++) {
		char *directory = fake_m2m_directory(1);
		struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
		g_autofree guint8 *pic = g_malloc(LUMA * 3 / 2);
		struct hardware *h;
		guint row;

		encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
		fake_nodes[0].mplane = forms[i].mplane;
		fake_nodes[0].two_pieces = forms[i].two;
		fake_nodes[0].pad_lines = forms[i].lines;
		fake_nodes[0].pad_stride = forms[i].stride;
		h = hardware_new(&config, NULL);
		encode_some(h, 8, &keys);
		g_assert_cmpuint(keys, ==, 2);
		draw(pic, 7);
		for (row = 0; row < HEIGHT; row++)
			g_assert_cmpmem(fake_nodes[0].read_at + row * (WIDTH + forms[i].stride),
					WIDTH, pic + row * WIDTH, WIDTH);
		g_assert_cmpuint(fake_nodes[0].queued_mmap, ==, 0);
		hardware_free(h);
		fake_m2m_end(directory);
	}
}

/* A picture in a DMA-buf is read where it lies; one that lies otherwise is copied. */
static void test_import(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_JPEG);
	struct raw_picture picture = { .stride = WIDTH, .captured_ns = MS };
	struct memory memory;
	gboolean key = TRUE;
	struct hardware *h;
	const guint8 *data;
	gsize length;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_JPEG);
	g_assert_true(memory_new(&memory, "test", LUMA * 3 / 2, UDMABUF, NULL));
	draw(memory.map, 3);
	picture.y = memory.map;
	picture.uv = memory.map + LUMA;
	picture.dmabuf = memory.dmabuf;
	picture.dmabuf_size = memory.size;
	h = hardware_new(&config, NULL);
	g_assert_true(hardware_nv12(h, &picture, &key, &data, &length, NULL));
	g_assert_cmpuint(length, >, 0);
	/* Of another mapping of the same pages: a change here is seen there. */
	memory.map[5] = 0xa5;
	g_assert_cmphex(fake_nodes[0].read_at[5], ==, 0xa5);
	picture.captured_ns += MS;
	picture.dmabuf = -1;
	g_assert_true(hardware_nv12(h, &picture, &key, &data, &length, NULL));
	memory.map[5] = 0x5a;
	g_assert_cmphex(fake_nodes[0].read_at[5], ==, 0xa5);
	hardware_free(h);
	memory_free(&memory);
	fake_m2m_end(directory);
}

/* No udmabuf, no DMA-bufs, contiguous ones alone: the driver's own buffers, and it works. */
static void test_weak(void)
{
	guint i, keys;

	for (i = 0; i < 3; i++) {
		char *directory = fake_m2m_directory(1);
		struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
		struct hardware *h;

		encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
		config.udmabuf = i == 0 ? -1 : UDMABUF;
		fake_nodes[0].no_dmabuf = i == 1;
		fake_nodes[0].contiguous = i == 2;
		h = hardware_new(&config, NULL);
		g_assert_nonnull(h);
		encode_some(h, 5, &keys);
		g_assert_cmpuint(fake_nodes[0].queued_dmabuf, ==, 0);
		g_assert_cmpuint(fake_nodes[0].queued_mmap, >, 5);
		hardware_free(h);
		fake_m2m_end(directory);
	}
}

/* Key frames: asked for; or at the encoder's own pace; parameter sets in a buffer of their own. */
static void test_keys(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	guint8 sets[VOLET_PARAMETERS_MAX];
	struct hardware *h;
	guint keys;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	fake_nodes[0].apart = TRUE;
	h = hardware_new(&config, NULL);
	g_assert_true(hardware_forces_key(h));
	g_assert_cmpuint(hardware_parameters(h, sets, sizeof(sets)), >, 8);
	encode_some(h, 20, &keys);
	g_assert_cmpuint(keys, ==, 4);
	hardware_free(h);

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	fake_nodes[0].can_force = FALSE;
	fake_nodes[0].has_gop = TRUE;
	config.rate = 4;
	h = hardware_new(&config, NULL);
	g_assert_false(hardware_forces_key(h));
	g_assert_cmpint(fake_nodes[0].gop, ==, 4);
	encode_some(h, 20, &keys);
	g_assert_cmpuint(keys, >=, 5);
	hardware_free(h);
	fake_m2m_end(directory);
}

/* Nobody watches: drained, both queues down, no memory left; then a key frame first. */
static void test_forget(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	gboolean key = FALSE;
	struct hardware *h;
	gsize length;
	guint i, keys;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	h = hardware_new(&config, NULL);
	for (i = 0; i < 5; i++) {
		encode_some(h, 3, &keys);
		g_assert_cmpuint(fake_nodes[0].open_buffers, >, 0);
		hardware_forget(h);
		g_assert_cmpuint(fake_nodes[0].open_buffers, ==, 0);
		g_assert_cmpuint(fake_nodes[0].drains, ==, i + 2);
	}
	g_assert_true(encode_one(h, 0, &key, &length, NULL));
	g_assert_true(key);
	hardware_free(h);
	fake_m2m_end(directory);
}

/* Marked as an error: that frame and no other is lost; ten in a row are the end. */
static void test_error(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	g_autoptr(GError) error = NULL;
	struct hardware *h;
	gboolean key = FALSE;
	gsize length;
	guint i;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	fake_nodes[0].error_at = 5;
	fake_nodes[0].error_count = 3;
	h = hardware_new(&config, NULL);
	for (i = 2; i < 12; i++) {
		g_assert_true(encode_one(h, i, &key, &length, NULL));
		g_assert_cmpint(length == 0, ==, i >= 5 && i < 8);
	}
	fake_nodes[0].error_at = fake_nodes[0].frames;
	fake_nodes[0].error_count = 1000;
	for (i = 20; encode_one(h, i, &key, &length, &error); i++)
		g_assert_cmpuint(length, ==, 0);
	g_assert_cmpuint(i, ==, 29);
	g_assert_nonnull(strstr(error->message, "the last 10 frames are all lost; the last is marked"));
	hardware_free(h);
	fake_m2m_end(directory);
}

/* What isn't H.264 is nobody's frame, whatever the encoder calls it. */
static void test_garbage(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	struct hardware *h;
	gboolean key = FALSE;
	gsize length;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	fake_nodes[0].garbage_at = 3;
	h = hardware_new(&config, NULL);
	g_assert_true(encode_one(h, 2, &key, &length, NULL));
	g_assert_cmpuint(length, >, 0);
	g_assert_true(encode_one(h, 3, &key, &length, NULL));
	g_assert_cmpuint(length, ==, 0);
	hardware_free(h);
	fake_m2m_end(directory);
}

/*
 * It gives no frame any more: an error after the bound, and not before. A frame of another time
 * is not taken for this picture's, and the wait ends as well.
 */
static void test_hang(void)
{
	guint i;

	for (i = 0; i < 2; i++) {
		char *directory = fake_m2m_directory(1);
		struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
		g_autoptr(GError) error = NULL;
		struct hardware *h;
		gboolean key = FALSE;
		guint64 began, took;
		gsize length;

		encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
		fake_nodes[0].hang_at = i ? 0 : 4;
		fake_nodes[0].stale_at = i ? 4 : 0;
		h = hardware_new(&config, NULL);
		g_assert_true(encode_one(h, 2, &key, &length, NULL));
		g_assert_true(encode_one(h, 3, &key, &length, NULL));
		began = capture_now();
		g_assert_false(encode_one(h, 4, &key, &length, &error));
		took = (capture_now() - began) / MS;
		g_assert_cmpuint(took, >=, HARDWARE_MS - 1);
		g_assert_nonnull(strstr(error->message, "no frame for a picture in 2000 ms"));
		g_test_message("given up after %u ms", (guint)took);
		hardware_free(h);
		fake_m2m_end(directory);
	}
}

/* One that holds frames back is refused before it is used, with what to write instead. */
static void test_holds_back(void)
{
	char *directory = fake_m2m_directory(1);
	struct hardware_config config = config_of(directory, VOLET_CODEC_H264);
	g_autoptr(GError) error = NULL;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_H264);
	fake_nodes[0].holds_back = TRUE;
	g_assert_null(hardware_new(&config, &error));
	g_assert_nonnull(strstr(error->message, "encoder = software does without it"));
	fake_m2m_end(directory);
}

/* A drain gives what was put in, up to the last, also what the encoder held back. */
static void test_drain(void)
{
	char *directory = fake_m2m_directory(1);
	g_autofree char *path = g_build_filename(directory, "video0", NULL);
	struct m2m_config config = {
		.name = "fake", .coded = V4L2_PIX_FMT_JPEG, .width = WIDTH, .height = HEIGHT,
		.udmabuf = UDMABUF,
	};
	g_autofree guint8 *pic = g_malloc(LUMA * 3 / 2);
	struct raw_picture picture = {
		.y = pic, .uv = pic + LUMA, .stride = WIDTH, .captured_ns = 7 * MS, .dmabuf = -1,
	};
	struct m2m_coded coded;
	FILE *file = fopen(path, "r+e");
	struct m2m *m;

	encoder(&fake_nodes[0], V4L2_PIX_FMT_JPEG);
	fake_nodes[0].holds_back = TRUE;
	draw(pic, 1);
	config.node = dup(fileno(file));
	fclose(file);
	m = m2m_new(&config, NULL);
	g_assert_true(m2m_put(m, &picture, NULL));
	g_assert_cmpint(m2m_take(m, capture_now() + 50 * MS, &coded, NULL), ==, M2M_NONE);
	g_assert_true(m2m_drain(m, NULL));
	g_assert_cmpint(m2m_take(m, capture_now() + 50 * MS, &coded, NULL), ==, M2M_LAST);
	g_assert_cmpuint(coded.length, >, 0);
	g_assert_cmpuint(coded.captured_us, ==, 7000);
	m2m_free(m);
	g_assert_cmpuint(fake_nodes[0].open_buffers, ==, 0);
	fake_m2m_end(directory);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/m2m/found", test_found);
	g_test_add_func("/m2m/second", test_second);
	g_test_add_func("/m2m/forms", test_forms);
	g_test_add_func("/m2m/import", test_import);
	g_test_add_func("/m2m/weak", test_weak);
	g_test_add_func("/m2m/keys", test_keys);
	g_test_add_func("/m2m/forget", test_forget);
	g_test_add_func("/m2m/error", test_error);
	g_test_add_func("/m2m/garbage", test_garbage);
	g_test_add_func("/m2m/hang", test_hang);
	g_test_add_func("/m2m/holds-back", test_holds_back);
	g_test_add_func("/m2m/drain", test_drain);
	return g_test_run();
}
