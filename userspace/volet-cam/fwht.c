// SPDX-License-Identifier: MIT
/* The head of an FWHT frame; see fwht.h. */
#include "fwht.h"

#include <linux/v4l2-controls.h>
#include <string.h>

/* 32-bit words, all but the magic ones big-endian, in this order. */
enum {
	MAGIC_1, MAGIC_2, VERSION, WIDTH, HEIGHT, FLAGS, COLOURS, TRANSFER, MATRIX, RANGE, SIZE,
	WORDS
};

static guint32 word(const guint8 *data, guint index)
{
	guint32 value;

	memcpy(&value, data + 4 * index, sizeof(value));
	return GUINT32_FROM_BE(value);
}

const char *fwht_check(const guint8 *data, gsize size, guint width, guint height, gboolean *key)
{
	*key = FALSE;
	if (size < 4 * WORDS || word(data, MAGIC_1) != 0x4f4f4f4f ||
	    word(data, MAGIC_2) != 0xffffffff)
		return "no FWHT";
	if (word(data, WIDTH) != width || word(data, HEIGHT) != height)
		return "of another size";
	if (word(data, SIZE) != size - 4 * WORDS)
		return "cut off";
	*key = (word(data, FLAGS) & V4L2_FWHT_FL_I_FRAME) != 0;
	return NULL;
}
