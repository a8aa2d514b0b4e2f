// SPDX-License-Identifier: GPL-2.0-only
/*
 * The raw formats that sensors send and the receiver takes. A sensor has the first few of them, as
 * its model says.
 */
#include <linux/media-bus-format.h>
#include <linux/videodev2.h>

#include "priv.h"

static const struct camsim_format camsim_formats[] = {
	{ MEDIA_BUS_FMT_SRGGB10_1X10, V4L2_PIX_FMT_SRGGB10, 10, 2, true, true },
	{ MEDIA_BUS_FMT_SGRBG10_1X10, V4L2_PIX_FMT_SGRBG10, 10, 2, false, true },
	{ MEDIA_BUS_FMT_SGBRG10_1X10, V4L2_PIX_FMT_SGBRG10, 10, 2, true, false },
	{ MEDIA_BUS_FMT_SBGGR10_1X10, V4L2_PIX_FMT_SBGGR10, 10, 2, false, false },
	{ MEDIA_BUS_FMT_SRGGB8_1X8, V4L2_PIX_FMT_SRGGB8, 8, 1, true, true },
	{ MEDIA_BUS_FMT_SGRBG8_1X8, V4L2_PIX_FMT_SGRBG8, 8, 1, false, true },
	{ MEDIA_BUS_FMT_SGBRG8_1X8, V4L2_PIX_FMT_SGBRG8, 8, 1, true, false },
	{ MEDIA_BUS_FMT_SBGGR8_1X8, V4L2_PIX_FMT_SBGGR8, 8, 1, false, false },
};

/* NULL beyond the last */
const struct camsim_format *camsim_format(const struct camsim *camsim, u32 index)
{
	return index < camsim->chip.model->formats ? &camsim_formats[index] : NULL;
}

/* NULL if there is none of this code */
const struct camsim_format *camsim_format_of_code(const struct camsim *camsim, u32 code)
{
	u32 i;

	for (i = 0; i < camsim->chip.model->formats; i++)
		if (camsim_formats[i].code == code)
			return &camsim_formats[i];
	return NULL;
}

/* NULL if there is none of this pixel format */
const struct camsim_format *camsim_format_of_fourcc(const struct camsim *camsim, u32 fourcc)
{
	u32 i;

	for (i = 0; i < camsim->chip.model->formats; i++)
		if (camsim_formats[i].fourcc == fourcc)
			return &camsim_formats[i];
	return NULL;
}
