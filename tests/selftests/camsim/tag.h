/* SPDX-License-Identifier: MIT */
/* Reading the pixel tag back from pixels, as driver/camsim/camsim.h describes it. */
#ifndef VOLET_SELFTESTS_CAMSIM_TAG_H
#define VOLET_SELFTESTS_CAMSIM_TAG_H

#include "common.h"
#include "tagcode.h"

#define TAG_Y0		0
#define TAG_Y1		1016

struct tag_source {
	const void *frame;
	bool nv12, hflip, vflip;
};

/* The middle of a cell; the array is mirrored about its middle by a flip. */
static inline int tag_cell(const struct tag_source *s, unsigned int x, unsigned int y)
{
	if (s->hflip)
		x = WIDTH - x;
	if (s->vflip)
		y = HEIGHT - y;
	return s->nv12 ? luma_at(s->frame, x, y) * 4 : raw_at(s->frame, x, y);
}

static inline void tag_bytes(const struct tag_source *s, unsigned int tag_y, uint8_t *bytes)
{
	memset(bytes, 0, TAG_BYTES);
	for (unsigned int bit = 0; bit < TAG_BYTES * 8; bit++) {
		unsigned int row = bit / 40, column = bit % 40;
		int value = tag_cell(s, column * TAG_CELL + TAG_CELL / 2,
				     tag_y + row * TAG_CELL + TAG_CELL / 2);

		if (value > 512)
			bytes[bit / 8] |= 0x80 >> bit % 8;
	}
}

/* The tag if both copies are right and the same */
static inline bool tag_read(const struct tag_source *s, struct tag *tag)
{
	uint8_t one[TAG_BYTES], two[TAG_BYTES];

	tag_bytes(s, TAG_Y0, one);
	tag_bytes(s, TAG_Y1, two);
	return tag_parse(one, tag) && !memcmp(one, two, sizeof(one));
}

#endif
