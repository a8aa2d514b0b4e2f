/* SPDX-License-Identifier: MIT */
/*
 * The pixel tag: who, when and which, written into the picture itself where the sensor
 * would have seen it, so that a test can prove from displayed pixels whose frame was shown.
 *
 * 20 bytes in cells of 16x16 pixels, 40 cells wide and 4 high; row r holds bytes 5r to
 * 5r + 4, most significant bit leftmost, white is 1. It is there twice, at the top and at
 * the bottom left of the 1920x1080 picture. Bytes: 0 'V', 1 camera, 2-5 frame number,
 * 6-13 CLOCK_MONOTONIC ns, 14-17 scene frame, 18-19 CRC-16 (0x1021, 0xffff) of bytes 0-17;
 * numbers are big endian.
 */
#ifndef VOLET_TAG_H
#define VOLET_TAG_H

#include <stdbool.h>
#include <stdint.h>

#define TAG_BYTES	20
#define TAG_CELL	16
#define TAG_COLUMNS	40
#define TAG_ROWS	4
#define TAG_COPIES	2

struct tag {
	uint8_t camera;
	uint32_t seq;
	uint64_t time_ns;
	uint32_t scene;
};

/* A luma plane, and how it was mirrored against the sensor's array. */
struct tag_picture {
	uint8_t *luma;
	unsigned int width, height, stride;
	bool hflip, vflip;
	/*
	 * Pixels of a cell in a picture of any size, the copies in its corners; 0: the picture
	 * shows the sensor's whole array, scaled.
	 */
	unsigned int cell;
};

void tag_pack(const struct tag *tag, uint8_t bytes[TAG_BYTES]);
/* False when the first byte or the CRC is wrong. */
bool tag_unpack(const uint8_t bytes[TAG_BYTES], struct tag *tag);

/* The cells of a generated picture of this width: as large as they fit, up to TAG_CELL. */
unsigned int tag_cell(unsigned int width);

/* The top of copy 0 or 1, in pixels of a 1080-line picture. */
unsigned int tag_top(unsigned int copy);

/* Draw both copies with these luma values for 0 and 1. */
void tag_draw(const struct tag_picture *pic, const struct tag *tag, uint8_t black, uint8_t white);

/* Read one copy; false when none holds. A picture of another size is taken as scaled. */
bool tag_read(const struct tag_picture *pic, unsigned int copy, struct tag *tag);

/* Nothing at all is drawn where the tags would be: a picture that was generated instead. */
bool tag_blank(const struct tag_picture *pic);

#endif
