// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the sensor sees when nobody plays anything: the media framework's test pattern, which
 * moves. It is small, the way to the sensor scales it.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <media/tpg/v4l2-tpg.h>

#include "priv.h"

#define WIDTH	480
#define HEIGHT	270

struct camsim_generated {
	struct tpg_data tpg;
	struct camsim_picture picture;
	u8 *data;
};

static void camsim_generated_setup(struct tpg_data *tpg, u32 camera)
{
	tpg_s_fourcc(tpg, V4L2_PIX_FMT_NV12);
	tpg_reset_source(tpg, WIDTH, HEIGHT, V4L2_FIELD_NONE);
	tpg_s_bytesperline(tpg, 0, WIDTH);
	tpg_s_buf_height(tpg, HEIGHT);
	tpg_s_colorspace(tpg, V4L2_COLORSPACE_SMPTE170M);
	tpg_s_ycbcr_enc(tpg, V4L2_YCBCR_ENC_601);
	tpg_s_quantization(tpg, V4L2_QUANTIZATION_LIM_RANGE);
	/* Two cameras look at two things. */
	tpg_s_pattern(tpg, camera % 2 ? TPG_PAT_100_COLORSQUARES : TPG_PAT_75_COLORBAR);
	tpg_s_mv_hor_mode(tpg, TPG_MOVE_POS);
}

struct camsim_generated *camsim_generated_alloc(u32 camera)
{
	struct camsim_generated *generated = kzalloc(sizeof(*generated), GFP_KERNEL);

	if (!generated)
		return NULL;
	generated->data = vzalloc(WIDTH * HEIGHT * 3 / 2);
	tpg_init(&generated->tpg, WIDTH, HEIGHT);
	if (!generated->data || tpg_alloc(&generated->tpg, WIDTH)) {
		camsim_generated_free(generated);
		return NULL;
	}

	camsim_generated_setup(&generated->tpg, camera);
	generated->picture = (struct camsim_picture) {
		.y = generated->data,
		.u = generated->data + WIDTH * HEIGHT,
		.v = generated->data + WIDTH * HEIGHT + 1,
		.width = WIDTH, .height = HEIGHT,
		.y_stride = WIDTH, .c_stride = WIDTH, .c_step = 2,
	};
	return generated;
}

void camsim_generated_free(struct camsim_generated *generated)
{
	if (!generated)
		return;
	tpg_free(&generated->tpg);
	vfree(generated->data);
	kfree(generated);
}

const struct camsim_picture *camsim_generated_next(struct camsim_generated *generated)
{
	tpg_fillbuffer(&generated->tpg, 0, 0, generated->data);
	tpg_update_mv_count(&generated->tpg, false);
	return &generated->picture;
}
