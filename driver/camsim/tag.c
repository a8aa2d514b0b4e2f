// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pixel tag, see camsim.h.
 */
#include <linux/crc-itu-t.h>
#include <linux/unaligned.h>

#include "camsim.h"
#include "priv.h"

void camsim_tag_make(u8 *tag, u32 camera, u32 frame, u64 ns, u32 scene)
{
	tag[0] = 'V';
	tag[1] = camera;
	put_unaligned_be32(frame, tag + 2);
	put_unaligned_be64(ns, tag + 6);
	put_unaligned_be32(scene, tag + 14);
	put_unaligned_be16(crc_itu_t(0xffff, tag, CAMSIM_TAG_BYTES - 2), tag + 18);
}

/* The row of cells at a line of a picture that isn't flipped yet, or -1 */
int camsim_tag_row(int y, u32 height)
{
	int second = height - CAMSIM_TAG_HEIGHT;

	if (y >= 0 && y < CAMSIM_TAG_HEIGHT)
		return y / CAMSIM_TAG_CELL;
	if (y >= second && y < second + CAMSIM_TAG_HEIGHT)
		return (y - second) / CAMSIM_TAG_CELL;
	return -1;
}

bool camsim_tag_bit(const u8 *tag, int row, int column)
{
	return tag[row * CAMSIM_TAG_BYTES / CAMSIM_TAG_ROWS + column / 8] & (0x80 >> column % 8);
}
