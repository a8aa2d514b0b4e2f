/* SPDX-License-Identifier: MIT */
/* What the bytes of a pixel tag say, as driver/camsim/camsim.h describes it. */
#ifndef VOLET_SELFTESTS_TAGCODE_H
#define VOLET_SELFTESTS_TAGCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAG_BYTES	20
#define TAG_ROWS	4
#define TAG_CELL	16

struct tag {
	unsigned int camera;
	uint32_t frame, scene;
	int64_t ns;
};

static inline uint64_t tag_number(const uint8_t *bytes, unsigned int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *bytes++;
	return value;
}

static inline uint16_t tag_crc(const uint8_t *bytes, size_t n)
{
	uint16_t crc = 0xffff;

	while (n--) {
		crc ^= *bytes++ << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
	}
	return crc;
}

/* False when these bytes are no tag, or were read wrong */
static inline bool tag_parse(const uint8_t *bytes, struct tag *tag)
{
	tag->camera = bytes[1];
	tag->frame = tag_number(bytes + 2, 4);
	tag->ns = tag_number(bytes + 6, 8);
	tag->scene = tag_number(bytes + 14, 4);
	return bytes[0] == 'V' && tag_crc(bytes, 18) == tag_number(bytes + 18, 2);
}

#endif
