// SPDX-License-Identifier: MIT
/* Walking through a JPEG's markers; see jpeg.h. */
#include "jpeg.h"

enum marker {
	SOF0 = 0xc0,
	SOF15 = 0xcf,
	DHT = 0xc4,
	JPG = 0xc8,
	DAC = 0xcc,
	RST0 = 0xd0,
	RST7 = 0xd7,
	SOI = 0xd8,
	EOI = 0xd9,
	SOS = 0xda,
	DQT = 0xdb
};

static guint word(const guint8 *p)
{
	return (guint)p[0] << 8 | p[1];
}

/* Three components, luma twice as wide and once or twice as high as both others. */
static const char *check_frame(const guint8 *p, gsize length, guint width, guint height)
{
	if (length != 15 || p[0] != 8 || p[5] != 3)
		return "JPEGs of other than three 8-bit components";
	if (word(p + 1) != height || word(p + 3) != width)
		return "JPEGs of another size than was asked for";
	if ((p[7] != 0x21 && p[7] != 0x22) || p[10] != 0x11 || p[13] != 0x11)
		return "JPEGs that are not 4:2:0 or 4:2:2";
	return NULL;
}

/* One or more tables of 64 bytes; 16-bit ones are not for RTP's receivers. */
static const char *check_tables(const guint8 *p, gsize length)
{
	for (; length >= 65; p += 65, length -= 65)
		if (p[0] > 3)
			return "JPEGs with tables that RTP can't carry";
	return length ? "JPEGs with broken tables" : NULL;
}

/* After SOS: bytes in which 0xff is followed by 0 or a restart marker, until EOI. */
static const char *find_end(const guint8 *data, gsize at, gsize size, gsize *used)
{
	for (; at + 1 < size; at++) {
		if (data[at] != 0xff || data[at + 1] == 0 || data[at + 1] == 0xff ||
		    (data[at + 1] >= RST0 && data[at + 1] <= RST7))
			continue;
		if (data[at + 1] != EOI)
			return "JPEGs of several scans";
		*used = at + 2;
		return NULL;
	}
	return "JPEGs without an end";
}

const char *jpeg_check(const guint8 *data, gsize size, guint width, guint height, gsize *used)
{
	gboolean frame = FALSE, tables = FALSE;
	gsize at = 2;

	if (size < 4 || data[0] != 0xff || data[1] != SOI)
		return "no JPEGs";
	while (at + 4 <= size && data[at] == 0xff) {
		guint marker = data[at + 1];
		gsize length = word(data + at + 2);
		const char *wrong = NULL;

		if (marker == 0xff) {		/* fill bytes may stand before a marker */
			at++;
			continue;
		}
		if (length < 2 || at + 2 + length > size)
			return "JPEGs that end in a marker";
		if (marker == SOS)
			return frame && tables ? find_end(data, at + 2 + length, size, used) :
						 "JPEGs without frame or tables";
		if (marker == SOF0 && !frame) {
			wrong = check_frame(data + at + 4, length - 2, width, height);
			frame = TRUE;
		} else if (marker == DQT) {
			wrong = check_tables(data + at + 4, length - 2);
			tables = TRUE;
		} else if (marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG) {
			return "JPEGs that are not baseline";
		} else if (marker < SOF0 || (marker >= RST0 && marker <= EOI)) {
			return "JPEGs with a marker that has no place there";
		}
		if (wrong)
			return wrong;
		at += 2 + length;
	}
	return "JPEGs with broken markers";
}
