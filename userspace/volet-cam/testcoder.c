// SPDX-License-Identifier: MIT
/* A test camera with an encoder of its own; see testcoder.h. */
#include "testcoder.h"

#include <linux/videodev2.h>
#include <string.h>

#include "annexb.h"
#include "error.h"
#include "h264.h"

#define LOST_EACH	37

struct testcoder {
	struct h264 *h264;
	guint n;
};

struct testcoder *testcoder_new(const struct volet_camera_config *config, struct convert *convert,
				GError **error)
{
	const struct h264_config h264 = {
		.width = config->width, .height = config->height, .rate = config->rate,
		.bitrate_kbit = 4000,
	};
	struct testcoder *coder;

	if (strcmp(config->format, "H264"))
		return NULL;
	if (!convert_open(convert, convert_find(V4L2_PIX_FMT_H264), config->width, config->height,
			  error))
		return NULL;
	coder = g_new0(struct testcoder, 1);
	coder->h264 = h264_new(&h264, error);
	if (coder->h264)
		return coder;
	g_free(coder);
	return NULL;
}

void testcoder_free(struct testcoder *coder)
{
	if (!coder)
		return;
	h264_free(coder->h264);
	g_free(coder);
}

/* The key frame without its parameter sets: its slices begin at the first unit of type 5. */
static gsize skip_sets(const guint8 *data, gsize length)
{
	gsize i;

	for (i = 0; i + 4 < length; i++)
		if (!data[i] && !data[i + 1] && data[i + 2] == 1 && (data[i + 3] & 31) == 5)
			return i;
	return 0;
}

gboolean testcoder_code(struct testcoder *coder, struct convert *convert,
			struct capture_frame *frame)
{
	g_autoptr(GError) error = NULL;
	struct convert_input in = { 0 };
	struct convert_output out;
	gboolean key = coder->n % TESTCODER_GOP == 0;
	const char *wrong;
	gsize skip = 0;

	if (!h264_nv12(coder->h264, frame->y, frame->uv, frame->stride, frame->captured_ns, &key,
		       &in.data[0], &in.size[0], &error)) {
		cam_log(frame->camera, "test camera: %s", error->message);
		return FALSE;
	}
	if (key && coder->n)
		skip = skip_sets(in.data[0], in.size[0]);
	in.data[0] += skip;
	in.size[0] -= skip;
	if (++coder->n % LOST_EACH == 0) {
		convert_lost(convert);
		return FALSE;
	}
	wrong = convert_frame(convert, &in, &out);
	if (wrong)
		cam_log(frame->camera, "test camera: a frame that is %s", wrong);
	frame->y = frame->uv = NULL;
	frame->coded = out.coded;
	frame->coded_size = out.coded_size;
	frame->key = out.key;
	return !wrong && out.coded;
}
