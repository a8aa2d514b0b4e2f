/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GalaxyCore GC2053: which register values give a wanted gain
 *
 * Arithmetic only, on plain C types and with no other header, so that it can
 * be tested outside the kernel.
 *
 * The sensor amplifies three times over: a programmable amplifier and a column
 * amplifier, both analogue and used only in the 29 pairings ("rows") below, and
 * a digital pre-gain in steps of 1/64. A wanted gain is the highest row that
 * doesn't exceed it, and the pre-gain that makes up the rest.
 *
 * All gains are in units of 1/64.
 */

#ifndef VOLET_GC2053_GAIN_H
#define VOLET_GC2053_GAIN_H

#define GC2053_GAIN_UNITY	64

#define GC2053_GAIN_ROWS	29

struct gc2053_gain_row {
	unsigned short gain;		/* measured, of both amplifiers */
	unsigned char pga_high;		/* page 0, 0xb4 */
	unsigned char pga_low;		/* page 0, 0xb3 */
	unsigned char column_int;	/* page 0, 0xb8 */
	unsigned char column_frac;	/* page 0, 0xb9 */
};

/*
 * The register values are the same in the drivers of Rockchip, Ingenic,
 * Allwinner, FullHan, Goke and HiSilicon. The gains are those on which Ingenic,
 * Allwinner and FullHan agree; Goke's and HiSilicon's calibration differs from
 * them by up to 10 %, so a step from row to row may show on a real sensor.
 */
static const struct gc2053_gain_row gc2053_gain_rows[GC2053_GAIN_ROWS] = {
	{   64, 0x00, 0x00, 0x01, 0x00 },
	{   74, 0x00, 0x10, 0x01, 0x0c },
	{   89, 0x00, 0x20, 0x01, 0x1b },
	{  102, 0x00, 0x30, 0x01, 0x2c },
	{  127, 0x00, 0x40, 0x01, 0x3f },
	{  147, 0x00, 0x50, 0x02, 0x16 },
	{  177, 0x00, 0x60, 0x02, 0x35 },
	{  203, 0x00, 0x70, 0x03, 0x16 },
	{  260, 0x00, 0x80, 0x04, 0x02 },
	{  300, 0x00, 0x90, 0x04, 0x31 },
	{  361, 0x00, 0xa0, 0x05, 0x32 },
	{  415, 0x00, 0xb0, 0x06, 0x35 },
	{  504, 0x00, 0xc0, 0x08, 0x04 },
	{  581, 0x00, 0x5a, 0x09, 0x19 },
	{  722, 0x00, 0x83, 0x0b, 0x0f },
	{  832, 0x00, 0x93, 0x0d, 0x12 },
	{ 1027, 0x00, 0x84, 0x10, 0x00 },
	{ 1182, 0x00, 0x94, 0x12, 0x3a },
	{ 1408, 0x01, 0x2c, 0x1a, 0x02 },
	{ 1621, 0x01, 0x3c, 0x1b, 0x20 },
	{ 1990, 0x00, 0x8c, 0x20, 0x0f },
	{ 2291, 0x00, 0x9c, 0x26, 0x07 },
	{ 2850, 0x02, 0x64, 0x36, 0x21 },
	{ 3282, 0x02, 0x74, 0x37, 0x3a },
	{ 4048, 0x00, 0xc6, 0x3d, 0x02 },
	{ 5180, 0x00, 0xdc, 0x3f, 0x3f },
	{ 5500, 0x02, 0x85, 0x3f, 0x3f },
	{ 6744, 0x02, 0x95, 0x3f, 0x3f },
	{ 7073, 0x00, 0xce, 0x3f, 0x3f },
};

/* The highest row whose gain is not above @analogue, itself at least unity */
static inline const struct gc2053_gain_row *
gc2053_gain_pick_row(unsigned int analogue)
{
	unsigned int i = GC2053_GAIN_ROWS - 1;

	while (i && gc2053_gain_rows[i].gain > analogue)
		i--;

	return &gc2053_gain_rows[i];
}

/*
 * The pre-gain that makes @analogue times @digital out of @row. It is rounded
 * down, like in every vendor's driver: so the outcome never exceeds what was
 * asked for, and never falls when more is asked for, not even at a new row. Its
 * largest, at eight times digital and below the widest step, is 655 of 1023.
 */
static inline unsigned int
gc2053_gain_pregain(const struct gc2053_gain_row *row, unsigned int analogue,
		    unsigned int digital)
{
	return analogue * digital / row->gain;
}

#endif /* VOLET_GC2053_GAIN_H */
