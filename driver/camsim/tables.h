/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables of the two computed stages, see sense.c and isp.c.
 */
#ifndef CAMSIM_TABLES_H
#define CAMSIM_TABLES_H

#include <linux/types.h>

/*
 * Luma and what chroma adds to it or takes from it, which is 227 steps at most either way. Half
 * of the bias is in each of two tables, so that neither has a negative value.
 */
#define CAMSIM_LIGHT_BIAS	512
#define CAMSIM_LIGHT_ENTRIES	1024

#define CAMSIM_MAX_PAIRS	2048	/* more than the widest sensor has */
#define CAMSIM_MAX_FOURS	(CAMSIM_MAX_PAIRS / 2)

/* All that the tables of the sensor stage were made for */
struct camsim_key {
	u32 exposure, gain;
	u32 scene_width, c_step;
	u32 width, step, bits;
	int x;
	u8 full_range, bt709, hflip, keeps_order;
};

struct camsim_tables {
	struct camsim_key key;
	u16 light[CAMSIM_LIGHT_ENTRIES];	/* raw value by luma and what chroma adds */

	/*
	 * What a chroma sample adds for the four pixels of a quad, 16 bits each, left to right
	 * and line of red first, from the lowest bits on; the sum of both has the bias.
	 */
	u64 from_u[256], from_v[256];

	/* By four columns of the output, 16 bits each */
	u64 column[CAMSIM_MAX_FOURS];		/* the column of the scene */
	u64 red_line[CAMSIM_MAX_FOURS];		/* what chroma adds */
	u64 blue_line[CAMSIM_MAX_FOURS];

	u16 chroma_column[CAMSIM_MAX_PAIRS];	/* where the chroma of a pair is */

	/* What a raw value of each colour adds to Y, U and V, see isp.c */
	u32 isp_red[1024], isp_green[1024], isp_blue[1024];
};

void camsim_isp_tables(struct camsim_tables *t);

#endif
