// SPDX-License-Identifier: MIT
/* Drawing and reading the pixel tag; see tag.h. */
#include "tag.h"

#include <string.h>

#define ARRAY_WIDTH	1920
#define ARRAY_HEIGHT	1080
/* Less contrast than this between the darkest and the lightest cell is noise, not a tag. */
#define CONTRAST_MIN	32
/* What lossy coding makes of a plain area is less than this. */
#define BLANK_MAX	6

static uint16_t crc16(const uint8_t *bytes, unsigned int n)
{
	uint16_t crc = 0xffff;

	while (n--) {
		unsigned int bit;

		crc ^= (uint16_t)(*bytes++ << 8);
		for (bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
	}
	return crc;
}

static void put_be(uint8_t *p, uint64_t value, unsigned int n)
{
	while (n--) {
		p[n] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get_be(const uint8_t *p, unsigned int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *p++;
	return value;
}

void tag_pack(const struct tag *tag, uint8_t bytes[TAG_BYTES])
{
	bytes[0] = 'V';
	bytes[1] = tag->camera;
	put_be(bytes + 2, tag->seq, 4);
	put_be(bytes + 6, tag->time_ns, 8);
	put_be(bytes + 14, tag->scene, 4);
	put_be(bytes + 18, crc16(bytes, 18), 2);
}

bool tag_unpack(const uint8_t bytes[TAG_BYTES], struct tag *tag)
{
	if (bytes[0] != 'V' || get_be(bytes + 18, 2) != crc16(bytes, 18))
		return false;
	tag->camera = bytes[1];
	tag->seq = (uint32_t)get_be(bytes + 2, 4);
	tag->time_ns = get_be(bytes + 6, 8);
	tag->scene = (uint32_t)get_be(bytes + 14, 4);
	return true;
}

unsigned int tag_top(unsigned int copy)
{
	return copy ? ARRAY_HEIGHT - TAG_ROWS * TAG_CELL : 0;
}

unsigned int tag_cell(unsigned int width)
{
	return width < TAG_COLUMNS * TAG_CELL ? width / TAG_COLUMNS : TAG_CELL;
}

/*
 * The rectangle of the array, `inset` pixels inside a cell, as the picture's columns and
 * rows: scaled where the picture is, mirrored where it is.
 */
static void cell_area(const struct tag_picture *pic, unsigned int copy, unsigned int column,
		      unsigned int row, unsigned int inset, unsigned int x[2], unsigned int y[2])
{
	unsigned int left = column * TAG_CELL + inset;
	unsigned int top = tag_top(copy) + row * TAG_CELL + inset;
	unsigned int size = TAG_CELL - 2 * inset, swap;

	if (pic->cell) {
		inset = inset * pic->cell / TAG_CELL;
		x[0] = column * pic->cell + inset;
		x[1] = (column + 1) * pic->cell - inset;
		y[0] = (copy ? pic->height - TAG_ROWS * pic->cell : 0) + row * pic->cell + inset;
		y[1] = y[0] + pic->cell - 2 * inset;
	} else {
		x[0] = left * pic->width / ARRAY_WIDTH;
		x[1] = (left + size) * pic->width / ARRAY_WIDTH;
		y[0] = top * pic->height / ARRAY_HEIGHT;
		y[1] = (top + size) * pic->height / ARRAY_HEIGHT;
	}
	if (pic->hflip) {
		swap = pic->width - x[0];
		x[0] = pic->width - x[1];
		x[1] = swap;
	}
	if (pic->vflip) {
		swap = pic->height - y[0];
		y[0] = pic->height - y[1];
		y[1] = swap;
	}
}

void tag_draw(const struct tag_picture *pic, const struct tag *tag, uint8_t black, uint8_t white)
{
	uint8_t bytes[TAG_BYTES];
	unsigned int cell;

	tag_pack(tag, bytes);
	for (cell = 0; cell < TAG_COPIES * TAG_BYTES * 8; cell++) {
		unsigned int bit = cell % (TAG_BYTES * 8), copy = cell / (TAG_BYTES * 8);
		bool one = bytes[bit / 8] & 0x80 >> bit % 8;
		unsigned int x[2], y[2], line;

		cell_area(pic, copy, bit % TAG_COLUMNS, bit / TAG_COLUMNS, 0, x, y);
		for (line = y[0]; line < y[1]; line++)
			memset(pic->luma + (size_t)line * pic->stride + x[0], one ? white : black,
			       x[1] - x[0]);
	}
}

/* The mean of the cell's middle: its edges carry the ringing of lossy coding. */
static unsigned int cell_mean(const struct tag_picture *pic, unsigned int copy, unsigned int bit)
{
	unsigned int x[2], y[2], line, column, sum = 0, n;

	cell_area(pic, copy, bit % TAG_COLUMNS, bit / TAG_COLUMNS, TAG_CELL / 4, x, y);
	n = (x[1] - x[0]) * (y[1] - y[0]);
	for (line = y[0]; line < y[1]; line++)
		for (column = x[0]; column < x[1]; column++)
			sum += pic->luma[(size_t)line * pic->stride + column];
	return n ? sum / n : 0;
}

bool tag_read(const struct tag_picture *pic, unsigned int copy, struct tag *tag)
{
	unsigned int mean[TAG_BYTES * 8], min = 255, max = 0, bit;
	uint8_t bytes[TAG_BYTES] = { 0 };

	for (bit = 0; bit < TAG_BYTES * 8; bit++) {
		mean[bit] = cell_mean(pic, copy, bit);
		min = mean[bit] < min ? mean[bit] : min;
		max = mean[bit] > max ? mean[bit] : max;
	}
	/* Every tag has both, since 'V' has: the middle is the threshold at any exposure. */
	if (max - min < CONTRAST_MIN)
		return false;
	for (bit = 0; bit < TAG_BYTES * 8; bit++)
		if (2 * mean[bit] > min + max)
			bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return tag_unpack(bytes, tag);
}

bool tag_blank(const struct tag_picture *pic)
{
	unsigned int min = 255, max = 0, copy, bit;

	for (copy = 0; copy < TAG_COPIES; copy++)
		for (bit = 0; bit < TAG_BYTES * 8; bit++) {
			unsigned int mean = cell_mean(pic, copy, bit);

			min = mean < min ? mean : min;
			max = mean > max ? mean : max;
		}
	return max - min < BLANK_MAX;
}
