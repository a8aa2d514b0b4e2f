// SPDX-License-Identifier: MIT
/* Bits of a unit, and the sequence parameter set in them; see bits.h and annexb.h. */
#include "bits.h"

#include "annexb.h"

void bits_open(struct bits *b, guint8 *memory, gsize room, const guint8 *payload, gsize size)
{
	gsize i, n = 0, zeros = 0;

	for (i = 0; i < size && n < room; i++) {
		if (zeros >= 2 && payload[i] == 3) {
			zeros = 0;
			continue;
		}
		zeros = payload[i] ? 0 : zeros + 1;
		memory[n++] = payload[i];
	}
	*b = (struct bits){ .data = memory, .n = 8 * n };
}

guint32 bits_u(struct bits *b, guint n)
{
	guint32 value = 0;

	while (n--) {
		if (b->at >= b->n) {
			b->over = TRUE;
			return 0;
		}
		value = value << 1 | (b->data[b->at / 8] >> (7 - b->at % 8) & 1);
		b->at++;
	}
	return value;
}

guint32 bits_ue(struct bits *b)
{
	guint zeros = 0;

	while (!b->over && !bits_u(b, 1))
		if (++zeros > 31)
			b->over = TRUE;
	return b->over ? 0 : (guint32)((1u << zeros) - 1 + bits_u(b, zeros));
}

gint32 bits_se(struct bits *b)
{
	guint32 code = bits_ue(b);

	return code & 1 ? (gint32)(code / 2 + 1) : -(gint32)(code / 2);
}

static void skip_scaling_list(struct bits *b, guint n)
{
	gint32 last = 8, next = 8;
	guint i;

	for (i = 0; i < n && !b->over; i++) {
		if (next)
			next = (last + bits_se(b)) & 255;
		last = next ? next : last;
	}
}

/* 7.3.2.1.1: what the profiles from High on have. NULL, or what isn't taken. */
static const char *skip_high(struct bits *b)
{
	guint i;

	if (bits_ue(b) != 1)
		return "not 4:2:0";
	if (bits_ue(b) || bits_ue(b))
		return "of more than 8 bits";
	bits_u(b, 1);
	if (!bits_u(b, 1))
		return NULL;
	for (i = 0; i < 8; i++)
		if (bits_u(b, 1))
			skip_scaling_list(b, i < 6 ? 16 : 64);
	return NULL;
}

static gboolean is_high(guint profile)
{
	static const guint8 high[] = { 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135 };
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(high); i++)
		if (high[i] == profile)
			return TRUE;
	return FALSE;
}

static void skip_order(struct bits *b)
{
	guint32 type = bits_ue(b), n;

	if (type == 0)
		bits_ue(b);
	if (type != 1)
		return;
	bits_u(b, 1);
	bits_se(b);
	bits_se(b);
	n = bits_ue(b);
	if (n > 255)
		b->over = TRUE;
	while (n-- && !b->over)
		bits_se(b);
}

static const char *read_size(struct bits *b, guint *width, guint *height)
{
	guint32 crop[4] = { 0 }, w, h;
	guint i;

	w = bits_ue(b) + 1;
	h = bits_ue(b) + 1;
	if (!bits_u(b, 1))
		return "interlaced";
	bits_u(b, 1);
	if (bits_u(b, 1))
		for (i = 0; i < 4; i++)
			crop[i] = bits_ue(b);
	/* A picture that is larger has no level. */
	if (b->over || w > 1024 || h > 1024 || crop[0] > 8 * w || crop[1] > 8 * w ||
	    crop[2] > 8 * h || crop[3] > 8 * h || 2 * (crop[0] + crop[1]) >= 16 * w ||
	    2 * (crop[2] + crop[3]) >= 16 * h)
		return "of an impossible size, or cut off";
	*width = 16 * w - 2 * (crop[0] + crop[1]);
	*height = 16 * h - 2 * (crop[2] + crop[3]);
	return NULL;
}

const char *annexb_sps(const guint8 *unit, gsize size, guint *width, guint *height)
{
	const char *wrong = NULL;
	guint8 memory[512];
	struct bits b;
	guint profile;

	*width = *height = 0;
	if (size < 5 || (unit[0] & 31) != 7)
		return "cut off";
	bits_open(&b, memory, sizeof(memory), unit + 1, size - 1);
	profile = bits_u(&b, 8);
	bits_u(&b, 16);
	bits_ue(&b);
	if (is_high(profile))
		wrong = skip_high(&b);
	if (wrong)
		return b.over ? "cut off" : wrong;
	bits_ue(&b);
	skip_order(&b);
	bits_ue(&b);
	bits_u(&b, 1);
	return read_size(&b, width, height);
}
