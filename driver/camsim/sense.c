// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sensor's side of a frame: scene to raw Bayer values.
 *
 * It runs on an emulated processor, so all that is the same for a whole frame is in tables:
 * one of scene brightness to raw value (transfer function, exposure, gain, black level and
 * clipping at once), one of scene column by array column, and for each line of scene chroma
 * what it adds to the luma for each colour. A pixel is then two additions and two look-ups.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

#include "camsim.h"
#include "priv.h"
#include "tables.h"

/* sRGB's transfer function: linear light in 1/65535 by 8-bit code, and one more to interpolate */
static const u16 srgb_to_linear[257] = {
	0, 20, 40, 60, 80, 99, 119, 139, 159, 179,
	199, 219, 241, 264, 288, 313, 340, 367, 396, 427,
	458, 491, 526, 562, 599, 637, 677, 718, 761, 805,
	851, 898, 947, 997, 1048, 1101, 1156, 1212, 1270, 1330,
	1391, 1453, 1517, 1583, 1651, 1720, 1790, 1863, 1937, 2013,
	2090, 2170, 2250, 2333, 2418, 2504, 2592, 2681, 2773, 2866,
	2961, 3058, 3157, 3258, 3360, 3464, 3570, 3678, 3788, 3900,
	4014, 4129, 4247, 4366, 4488, 4611, 4736, 4864, 4993, 5124,
	5257, 5392, 5530, 5669, 5810, 5953, 6099, 6246, 6395, 6547,
	6700, 6856, 7014, 7174, 7335, 7500, 7666, 7834, 8004, 8177,
	8352, 8528, 8708, 8889, 9072, 9258, 9445, 9635, 9828, 10022,
	10219, 10417, 10619, 10822, 11028, 11235, 11446, 11658, 11873, 12090,
	12309, 12530, 12754, 12980, 13209, 13440, 13673, 13909, 14146, 14387,
	14629, 14874, 15122, 15371, 15623, 15878, 16135, 16394, 16656, 16920,
	17187, 17456, 17727, 18001, 18277, 18556, 18837, 19121, 19407, 19696,
	19987, 20281, 20577, 20876, 21177, 21481, 21787, 22096, 22407, 22721,
	23038, 23357, 23678, 24002, 24329, 24658, 24990, 25325, 25662, 26001,
	26344, 26688, 27036, 27386, 27739, 28094, 28452, 28813, 29176, 29542,
	29911, 30282, 30656, 31033, 31412, 31794, 32179, 32567, 32957, 33350,
	33745, 34143, 34544, 34948, 35355, 35764, 36176, 36591, 37008, 37429,
	37852, 38278, 38706, 39138, 39572, 40009, 40449, 40891, 41337, 41785,
	42236, 42690, 43147, 43606, 44069, 44534, 45002, 45473, 45947, 46423,
	46903, 47385, 47871, 48359, 48850, 49344, 49841, 50341, 50844, 51349,
	51858, 52369, 52884, 53401, 53921, 54445, 54971, 55500, 56032, 56567,
	57105, 57646, 58190, 58737, 59287, 59840, 60396, 60955, 61517, 62082,
	62650, 63221, 63795, 64372, 64952, 65535, 65535,
};

/* Linear light of an sRGB value in 1/256 of a code */
u16 camsim_linear(u32 srgb_256)
{
	u32 code = min(srgb_256 >> 8, 255U), part = srgb_256 & 0xff;

	return srgb_to_linear[code] +
	       ((srgb_to_linear[code + 1] - srgb_to_linear[code]) * part >> 8);
}

/* -----------------------------------------------------------------------------
 * Tables
 */

struct camsim_tables *camsim_tables_alloc(void)
{
	struct camsim_tables *tables = vzalloc(sizeof(*tables));

	if (tables)
		camsim_isp_tables(tables);
	return tables;
}

void camsim_tables_free(struct camsim_tables *tables)
{
	vfree(tables);
}

/* What a step of chroma adds to red, green and blue, in 1/65536 of a step of luma */
struct chroma_gain {
	s64 red, green_u, green_v, blue;
};

static void chroma_gains(const struct camsim_picture *picture, struct chroma_gain *gain)
{
	/* Kr, Kg and Kb in 1/65536 */
	s64 kr = picture->bt709 ? 13933 : 19595, kb = picture->bt709 ? 4732 : 7471;
	s64 kg = 65536 - kr - kb;

	gain->red = 2 * (65536 - kr);
	gain->blue = 2 * (65536 - kb);
	gain->green_v = -div64_s64(gain->red * kr, kg);
	gain->green_u = -div64_s64(gain->blue * kb, kg);
}

/* Colours of a quad, 16 bits each */
static u64 pack_quad(bool red_left, s64 red, s64 green, s64 blue)
{
	u64 r = red + CAMSIM_LIGHT_BIAS / 2, g = green + CAMSIM_LIGHT_BIAS / 2;
	u64 b = blue + CAMSIM_LIGHT_BIAS / 2;

	if (red_left)
		return r | g << 16 | g << 32 | b << 48;
	return g | r << 16 | b << 32 | g << 48;
}

static void make_colour_tables(struct camsim_tables *t, const struct camsim_picture *picture,
			       bool red_left)
{
	/* Chroma spans 224 steps where luma spans 219, or both 255. */
	s64 num = picture->full_range ? 1 : 219, den = picture->full_range ? 1 : 224;
	struct chroma_gain gain;
	int i;

	chroma_gains(picture, &gain);
	for (i = 0; i < 256; i++) {
		s64 c = (i - 128) * num;

		t->from_v[i] = pack_quad(red_left, div_s64(gain.red * c, den * 65536),
					 div_s64(gain.green_v * c, den * 65536), 0);
		t->from_u[i] = pack_quad(red_left, 0, div_s64(gain.green_u * c, den * 65536),
					 div_s64(gain.blue * c, den * 65536));
	}
}

/* Exposure of 1000 lines at gain 1 gives back the brightness of the scene. */
static void make_light_table(struct camsim_tables *t, bool full_range, u32 exposure, u32 gain,
			     u32 bits)
{
	u64 light = div_u64((u64)exposure * gain, 4);	/* in 1/1024000 */
	int i;

	for (i = 0; i < CAMSIM_LIGHT_ENTRIES; i++) {
		int luma = i - CAMSIM_LIGHT_BIAS;
		int srgb = full_range ? luma * 256 : (luma - 16) * 256 * 255 / 219;
		u64 raw = (u64)camsim_linear(clamp(srgb, 0, 255 * 256)) * light;

		raw = div_u64(raw * (CAMSIM_WHITE - CAMSIM_BLACK) + 65535ULL * 512000,
			      65535U);
		raw = div_u64(raw, 1024000) + CAMSIM_BLACK;
		t->light[i] = min_t(u64, raw, CAMSIM_WHITE) >> (10 - bits) << (10 - bits);
	}
}

/* A column or line of the output as if nothing were flipped; sensor.h has the extra pixel. */
static int unflipped(u32 i, u32 size, bool flip, bool keeps_order)
{
	return flip ? (int)(size - 1 - i + (keeps_order && !(size & 1))) : (int)i;
}

static int picture_x(const struct sensor_view *view, u32 column)
{
	return unflipped(column, view->width, view->hflip, view->keeps_order);
}

static int picture_y(const struct sensor_view *view, u32 line)
{
	return unflipped(line, view->height, view->vflip, view->keeps_order);
}

/* Binned pixels are made of neighbours of one colour, which stand for the first of them. */
static int array_position(int start, u32 step, int i)
{
	return start + (i & ~1) * (int)step + (i & 1);
}

static int array_x(const struct sensor_view *view, u32 column)
{
	return array_position(view->x, view->step, picture_x(view, column));
}

static int array_y(const struct sensor_view *view, u32 line)
{
	return array_position(view->y, view->step, picture_y(view, line));
}

static u32 scene_position(int array, u32 array_size, u32 scene_size)
{
	return clamp(array, 0, (int)array_size - 1) * scene_size / array_size;
}

static void make_column_table(struct camsim_tables *t, const struct camsim_shot *shot)
{
	u32 width = shot->picture->width, columns = round_up(shot->view->width, 4);
	u32 i, x;

	memset(t->column, 0, sizeof(t->column));
	for (i = 0; i < columns; i++) {
		x = scene_position(array_x(shot->view, i), shot->model->width, width);
		t->column[i / 4] |= (u64)x << i % 4 * 16;
		if (!(i % 2))
			t->chroma_column[i / 2] = x / 2 * shot->picture->c_step;
	}
}

static void update_tables(struct camsim_tables *t, const struct camsim_shot *shot)
{
	const struct camsim_picture *picture = shot->picture;
	struct camsim_key key = {
		.exposure = shot->exposure, .gain = shot->gain,
		.full_range = picture->full_range, .bt709 = picture->bt709,
		.scene_width = picture->width, .c_step = picture->c_step,
		.x = shot->view->x, .width = shot->view->width,
		.step = shot->view->step, .bits = shot->view->bits,
		.hflip = shot->view->hflip, .keeps_order = shot->view->keeps_order,
	};

	if (!memcmp(&key, &t->key, sizeof(key)))
		return;
	make_colour_tables(t, picture, !(array_x(shot->view, 0) & 1));
	make_light_table(t, picture->full_range, shot->exposure, shot->gain, shot->view->bits);
	make_column_table(t, shot);
	t->key = key;
}

/* -----------------------------------------------------------------------------
 * Lines
 */

/* For a line of chroma: what it adds to the luma of each column, in both kinds of line */
static void make_chroma_line(struct camsim_tables *t, const struct camsim_shot *shot, u32 line)
{
	const struct camsim_picture *picture = shot->picture;
	const u8 *u = picture->u + line * picture->c_stride;
	const u8 *v = picture->v + line * picture->c_stride;
	u32 i, fours = DIV_ROUND_UP(shot->view->width, 4);

	for (i = 0; i < fours; i++) {
		u32 left = t->chroma_column[i * 2], right = t->chroma_column[i * 2 + 1];
		u64 a = t->from_u[u[left]] + t->from_v[v[left]];
		u64 b = t->from_u[u[right]] + t->from_v[v[right]];

		t->red_line[i] = (a & U32_MAX) | b << 32;
		t->blue_line[i] = a >> 32 | (b & ~(u64)U32_MAX);
	}
}

static void sense_line(const struct camsim_tables *t, const u8 *y, const u64 *chroma, u32 fours,
		       u8 *out)
{
	u32 i;

	for (i = 0; i < fours; i++) {
		u64 column = t->column[i], add = chroma[i];
		u64 a = t->light[y[column & 0xffff] + (add & 0xffff)];
		u64 b = t->light[y[column >> 16 & 0xffff] + (add >> 16 & 0xffff)];
		u64 c = t->light[y[column >> 32 & 0xffff] + (add >> 32 & 0xffff)];
		u64 d = t->light[y[column >> 48] + (add >> 48)];

		put_unaligned_le64(a | b << 16 | c << 32 | d << 48, out + i * 8);
	}
}

/* The tag is at positions of the picture before it is flipped. */
static void tag_line(const struct camsim_shot *shot, int row, __le16 *out)
{
	u32 column;

	for (column = 0; column < shot->view->width; column++) {
		int x = picture_x(shot->view, column);

		if (x < 0 || x >= CAMSIM_TAG_WIDTH)
			continue;
		out[column] = cpu_to_le16(camsim_tag_bit(shot->tag, row, x / CAMSIM_TAG_CELL) ?
					  CAMSIM_WHITE : CAMSIM_BLACK);
	}
}

static int tag_row_of(const struct camsim_shot *shot, u32 line)
{
	if (!shot->tag)
		return -1;
	return camsim_tag_row(picture_y(shot->view, line), shot->view->height);
}

/*
 * Lines go downwards: what a line whose width is no multiple of four writes beyond its end is
 * the start of the next.
 */
void camsim_sense(struct camsim_tables *t, const struct camsim_shot *shot, u32 *raw)
{
	const struct camsim_picture *picture = shot->picture;
	u32 line, stride = camsim_raw_stride(shot->view);
	u32 height = min(shot->view->height, shot->model->height);
	u32 chroma = U32_MAX, scene_y, twin[2] = { U32_MAX, U32_MAX };
	bool pattern = shot->view->pattern != SENSOR_SCENE;
	u8 *out = (u8 *)raw;

	update_tables(t, shot);
	for (line = 0; line < height; line++, out += stride) {
		int y = array_y(shot->view, line), row = tag_row_of(shot, line);

		scene_y = pattern ? 0 : scene_position(y, shot->model->height, picture->height);
		if (scene_y == twin[line % 2]) {
			/* The last line of these colours saw the same line of the scene. */
			memcpy(out, out - 2 * stride, stride);
		} else if (pattern) {
			camsim_pattern_line(shot->view, line, (__le16 *)out);
		} else {
			if (scene_y / 2 != chroma)
				make_chroma_line(t, shot, scene_y / 2);
			chroma = scene_y / 2;
			sense_line(t, picture->y + scene_y * picture->y_stride,
				   y & 1 ? t->blue_line : t->red_line,
				   DIV_ROUND_UP(shot->view->width, 4), out);
		}
		twin[line % 2] = row < 0 ? scene_y : U32_MAX;
		if (row >= 0)
			tag_line(shot, row, (__le16 *)out);
		if (!(line % 32))
			cond_resched();
	}
}
