// SPDX-License-Identifier: MIT
/* NV12 to JPEG by libturbojpeg; see encoder.h. */
#include "encoder.h"

#include <string.h>
#include <turbojpeg.h>

#include "error.h"

struct encoder {
	tjhandle tj;
	guint width, height;
	int quality;
	guint8 *u, *v;
	guint8 *out;		/* big enough for any picture of this size */
	gsize out_size;
};

/* Built with -O3: as vectors this takes a third of the time. */
void encoder_split_chroma(const guint8 *restrict uv, guint8 *restrict u, guint8 *restrict v,
			  gsize n)
{
	gsize i;

	for (i = 0; i < n; i++) {
		u[i] = uv[2 * i];
		v[i] = uv[2 * i + 1];
	}
}

gboolean encoder_nv12(struct encoder *enc, const guint8 *y, const guint8 *uv, gsize stride,
		      const guint8 **jpeg, gsize *size, GError **error)
{
	guint columns = enc->width / 2, rows = enc->height / 2, row;
	const unsigned char *planes[3] = { y, enc->u, enc->v };
	int strides[3] = { (int)stride, (int)columns, (int)columns };
	unsigned char *out = enc->out;
	unsigned long used = enc->out_size;

	for (row = 0; row < rows; row++)
		encoder_split_chroma(uv + row * stride, enc->u + (gsize)row * columns,
				     enc->v + (gsize)row * columns, columns);
	/* The fast transform: a quarter less time, for a difference not seen below quality 90. */
	if (tjCompressFromYUVPlanes(enc->tj, planes, (int)enc->width, strides, (int)enc->height,
				    TJSAMP_420, &out, &used, enc->quality,
				    TJFLAG_NOREALLOC | TJFLAG_FASTDCT) < 0)
		return cam_error(error, 0, "JPEG: %s", tjGetErrorStr2(enc->tj));
	*jpeg = out;
	*size = used;
	return TRUE;
}

/*
 * One grey picture before the first real one: the library looks at the processor (it reads
 * /proc/cpuinfo) when it first works, which the sandbox would not let it do later.
 */
static gboolean warm_up(struct encoder *enc, GError **error)
{
	gsize luma = (gsize)enc->width * enc->height;
	g_autofree guint8 *grey = g_malloc(luma + luma / 2);
	const guint8 *jpeg;
	gsize size;

	memset(grey, 128, luma + luma / 2);
	return encoder_nv12(enc, grey, grey + luma, enc->width, &jpeg, &size, error);
}

struct encoder *encoder_new(guint width, guint height, int quality, GError **error)
{
	struct encoder *enc;

	if (!width || !height || width % 2 || height % 2) {
		cam_error(error, 0,
			  "a picture of %ux%u can't be encoded: width and height are to be even",
			  width, height);
		return NULL;
	}
	enc = g_new0(struct encoder, 1);
	enc->width = width;
	enc->height = height;
	enc->quality = quality;
	enc->u = g_malloc((gsize)width * height / 4);
	enc->v = g_malloc((gsize)width * height / 4);
	enc->out_size = tjBufSize((int)width, (int)height, TJSAMP_420);
	enc->out = g_malloc(enc->out_size);
	enc->tj = tjInitCompress();
	if (!enc->tj)
		cam_error(error, 0, "JPEG: %s", tjGetErrorStr2(NULL));
	if (!enc->tj || !warm_up(enc, error)) {
		encoder_free(enc);
		return NULL;
	}
	return enc;
}

void encoder_free(struct encoder *enc)
{
	if (!enc)
		return;
	if (enc->tj)
		tjDestroy(enc->tj);
	g_free(enc->u);
	g_free(enc->v);
	g_free(enc->out);
	g_free(enc);
}
