/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * camsim, the virtual camera board: what a program outside may rely on.
 *
 * The pixel tag is written into the picture at the sensor, after exposure and gain and before
 * flips, as cells of white and black, so that a test can tell from displayed pixels which camera
 * saw them and when. Big-endian bytes:
 *
 *	0	'V'
 *	1	camera id
 *	2-5	frame number: frames sensed by this camera since the board was made
 *	6-13	CLOCK_MONOTONIC in ns at the start of the frame; the capture buffer's timestamp
 *	14-17	id of the scene frame: frames played since the scene node started streaming,
 *		0 for the generated scene
 *	18-19	CRC-16 (polynomial 0x1021, initial value 0xffff, not reflected) of bytes 0-17
 *
 * It is at the left edge of the picture, in its first lines and again in its last.
 *
 * Row r of the cells holds bytes 5r to 5r + 4, most significant bit leftmost, 1 is white.
 */
#ifndef CAMSIM_H
#define CAMSIM_H

#include <linux/v4l2-controls.h>

/* No range is reserved for this board in the kernel: this one is far from those that are. */
#define CAMSIM_CID_BASE		(V4L2_CID_USER_BASE + 0xca00)
/* Boolean, on the sub-device camsimN-csi, "Pixel Tag" */
#define CAMSIM_CID_PIXEL_TAG	(CAMSIM_CID_BASE + 0)
/* On the same with faults=1: buttons, and a percentage. They have vivid's names, see faults.c. */
#define CAMSIM_CID_DISCONNECT		(CAMSIM_CID_BASE + 1)
#define CAMSIM_CID_BUF_ERROR		(CAMSIM_CID_BASE + 2)
#define CAMSIM_CID_DROP_PERCENT		(CAMSIM_CID_BASE + 3)
#define CAMSIM_CID_REQBUFS_ERROR	(CAMSIM_CID_BASE + 4)
#define CAMSIM_CID_QBUF_ERROR		(CAMSIM_CID_BASE + 5)
#define CAMSIM_CID_STREAMON_ERROR	(CAMSIM_CID_BASE + 6)
#define CAMSIM_CID_FATAL_ERROR		(CAMSIM_CID_BASE + 7)

#define CAMSIM_TAG_BYTES	20
#define CAMSIM_TAG_ROWS		4
#define CAMSIM_TAG_COLUMNS	40
#define CAMSIM_TAG_CELL		16	/* pixels, both ways */
#define CAMSIM_TAG_WIDTH	(CAMSIM_TAG_COLUMNS * CAMSIM_TAG_CELL)
#define CAMSIM_TAG_HEIGHT	(CAMSIM_TAG_ROWS * CAMSIM_TAG_CELL)

#endif
