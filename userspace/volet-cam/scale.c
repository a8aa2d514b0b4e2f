// SPDX-License-Identifier: MIT
/* NV12 made smaller by boxes; see scale.h. */
#include "scale.h"

#include <string.h>

struct scaler {
	guint from_width, from_height, width, height;
	guint32 *sums;		/* of the columns of a row of boxes, one line long */
	gsize size;
	guint8 *y, *uv;
};

struct scaler *scaler_new(guint from_width, guint from_height, guint width, guint height)
{
	struct scaler *s = g_new0(struct scaler, 1);

	*s = (struct scaler) {
		.from_width = from_width, .from_height = from_height,
		.width = width, .height = height,
		.size = (gsize)width * height * 3 / 2,
	};
	s->sums = g_new0(guint32, from_width);
	s->y = g_malloc0(s->size);
	s->uv = s->y + (gsize)width * height;
	return s;
}

void scaler_free(struct scaler *s)
{
	if (!s)
		return;
	g_free(s->sums);
	g_free(s->y);
	g_free(s);
}

void scaler_forget(struct scaler *s)
{
	memset(s->y, 0, s->size);
	memset(s->sums, 0, s->from_width * sizeof(*s->sums));
}

static void add_line(guint32 *restrict sums, const guint8 *restrict line, gsize n)
{
	gsize i;

	for (i = 0; i < n; i++)
		sums[i] += line[i];
}

/* `n` pixels of `step` interleaved bytes from `from_n`, each of `rows` lines summed up. */
static void scale_line(guint8 *restrict out, const guint32 *restrict sums, guint n, guint from_n,
		       guint step, guint rows)
{
	guint i, c, x, begin, end = 0;

	for (i = 0; i < n; i++) {
		begin = end;
		end = (guint)((guint64)(i + 1) * from_n / n);
		for (c = 0; c < step; c++) {
			guint area = (end - begin) * rows;
			guint32 sum = area / 2;

			for (x = begin; x < end; x++)
				sum += sums[x * step + c];
			out[i * step + c] = (guint8)(sum / area);
		}
	}
}

static void scale_plane(struct scaler *s, const guint8 *in, gsize stride, guint8 *out, guint step)
{
	guint width = s->width / step, height = s->height / step;
	guint from_width = s->from_width / step, from_height = s->from_height / step;
	guint row, y, begin, end = 0;

	for (row = 0; row < height; row++) {
		begin = end;
		end = (guint)((guint64)(row + 1) * from_height / height);
		memset(s->sums, 0, s->from_width * sizeof(*s->sums));
		for (y = begin; y < end; y++)
			add_line(s->sums, in + y * stride, s->from_width);
		scale_line(out + (gsize)row * s->width, s->sums, width, from_width, step,
			   end - begin);
	}
}

void scaler_nv12(struct scaler *s, const guint8 *y, const guint8 *uv, gsize stride,
		 const guint8 **out_y, const guint8 **out_uv)
{
	scale_plane(s, y, stride, s->y, 1);
	scale_plane(s, uv, stride, s->uv, 2);
	*out_y = s->y;
	*out_uv = s->uv;
}
