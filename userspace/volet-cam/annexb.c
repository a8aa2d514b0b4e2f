// SPDX-License-Identifier: MIT
/* H.264 access units as they come; see annexb.h. The numbers of tables are ITU-T H.264's. */
#include "annexb.h"

#include <string.h>

#include "bits.h"

/* More is no parameter set of a picture that is passed on here. */
#define SET_MAX		256
#define SLICES_MAX	4096

enum unit {	/* table 7-1 */
	SLICE = 1, IDR = 5, SEI, SPS, PPS, DELIMITER, END_OF_SEQUENCE, END_OF_STREAM, FILLER
};

struct annexb {
	guint width, height;
	GByteArray *sps, *pps;	/* with their start codes; empty: none yet */
	GByteArray *joined;	/* a key frame with them in front */
};

/* What one access unit has. */
struct content {
	gboolean slice, key, sps, pps;
	gsize delimiter;	/* bytes up to the end of a first unit that is one */
	guint slices, pictures;
};

struct annexb *annexb_new(guint width, guint height)
{
	struct annexb *a = g_new0(struct annexb, 1);

	a->width = width;
	a->height = height;
	a->sps = g_byte_array_new();
	a->pps = g_byte_array_new();
	a->joined = g_byte_array_new();
	return a;
}

void annexb_free(struct annexb *a)
{
	if (!a)
		return;
	g_byte_array_unref(a->sps);
	g_byte_array_unref(a->pps);
	g_byte_array_unref(a->joined);
	g_free(a);
}

void annexb_restart(struct annexb *a)
{
	g_byte_array_set_size(a->sps, 0);
	g_byte_array_set_size(a->pps, 0);
	/* It holds a picture: freed, not emptied. */
	g_byte_array_unref(a->joined);
	a->joined = g_byte_array_new();
}

guint annexb_parameters(const struct annexb *a, guint8 *out, gsize size)
{
	if (!a->sps->len || !a->pps->len || a->sps->len + a->pps->len > size)
		return 0;
	memcpy(out, a->sps->data, a->sps->len);
	memcpy(out + a->sps->len, a->pps->data, a->pps->len);
	return a->sps->len + a->pps->len;
}

/* Where the next start code's 00 00 01 is; `size` when there is none. */
static gsize next_start(const guint8 *data, gsize size, gsize from)
{
	gsize i;

	for (i = from; i + 3 <= size; i++)
		if (!data[i] && !data[i + 1] && data[i + 2] == 1)
			return i;
	return size;
}

static const char *keep(GByteArray *to, const guint8 *unit, gsize size)
{
	static const guint8 start[] = { 0, 0, 0, 1 };

	if (size > SET_MAX || to->len > 4 * SET_MAX)
		return "of parameter sets larger than any here";
	g_byte_array_append(to, start, sizeof(start));
	g_byte_array_append(to, unit, (guint)size);
	return NULL;
}

/* Sets that come with a picture, or alone, take the place of those before. */
static const char *take_set(struct annexb *a, struct content *c, const guint8 *unit, gsize size)
{
	gboolean sps = (unit[0] & 31) == SPS;
	guint width, height;
	const char *wrong;

	if (c->slice)
		return "of units in a wrong order";
	if (!sps) {
		if (!c->pps)
			g_byte_array_set_size(a->pps, 0);
		c->pps = TRUE;
		return size < 2 ? "cut off" : keep(a->pps, unit, size);
	}
	wrong = annexb_sps(unit, size, &width, &height);
	if (wrong)
		return wrong;
	if (width != a->width || height != a->height)
		return "of another size";
	if (c->sps)
		return "of several sequences";
	c->sps = TRUE;
	g_byte_array_set_size(a->sps, 0);
	return keep(a->sps, unit, size);
}

static const char *take_slice(struct content *c, const guint8 *unit, gsize size)
{
	gboolean key = (unit[0] & 31) == IDR;
	guint8 head[16];
	struct bits b;
	guint first, type;

	bits_open(&b, head, sizeof(head), unit + 1, size - 1);
	first = bits_ue(&b);
	type = bits_ue(&b);
	if (b.over || type > 9)
		return "cut off";
	if (type % 5 == 1)
		return "differences to later ones (B frames; turn them off on the camera)";
	if (type % 5 > 2)
		return "of an extended profile";
	if (key && type % 5 != 2)
		return "key frames that refer to others";
	c->pictures += first == 0;
	if (c->slice && c->key != key)
		return "several in one";
	c->key = key;
	c->slice = TRUE;
	return ++c->slices > SLICES_MAX ? "of too many slices" : NULL;
}

static const char *take_unit(struct annexb *a, struct content *c, const guint8 *unit, gsize size)
{
	if (!size || unit[0] & 0x80)
		return "not in whole units (Annex B)";
	switch (unit[0] & 31) {
	case SLICE:
	case IDR:
		return take_slice(c, unit, size);
	case SPS:
	case PPS:
		return take_set(a, c, unit, size);
	case SEI:
	case DELIMITER:
	case END_OF_SEQUENCE:
	case END_OF_STREAM:
	case FILLER:
		return NULL;
	default:
		/* Parts, layers, and what RTP has for its own use. */
		return "with units of a kind that isn't passed on";
	}
}

/* All units; the length without zeros after the last. */
static const char *walk(struct annexb *a, struct content *c, const guint8 *data, gsize size,
			gsize *used)
{
	gsize at = next_start(data, size, 0), next, end, i;
	const char *wrong = NULL;

	*used = 0;
	for (i = 0; i < at; i++)
		if (data[i] || i > 1)
			return "not in Annex B";
	if (at == size)
		return "not in Annex B";
	for (i = 0; !wrong && at < size; at = next, i++) {
		at += 3;
		next = next_start(data, size, at);
		for (end = next; end > at && !data[end - 1]; end--)
			;
		wrong = take_unit(a, c, data + at, end - at);
		if (!wrong && !i && (data[at] & 31) == DELIMITER)
			c->delimiter = end;
		*used = end;
	}
	return wrong;
}

/* The parameter sets belong behind the delimiter, where there is one. */
static const char *join(struct annexb *a, const struct content *c, struct annexb_frame *frame)
{
	const guint8 *data = frame->data;

	if (!a->sps->len || !a->pps->len)
		return "key frames without parameter sets";
	g_byte_array_set_size(a->joined, 0);
	g_byte_array_append(a->joined, data, (guint)c->delimiter);
	/* Both when one is missing: twice the same set is as good as once. */
	g_byte_array_append(a->joined, a->sps->data, a->sps->len);
	g_byte_array_append(a->joined, a->pps->data, a->pps->len);
	g_byte_array_append(a->joined, data + c->delimiter, (guint)(frame->length - c->delimiter));
	frame->data = a->joined->data;
	frame->length = a->joined->len;
	return NULL;
}

const char *annexb_check(struct annexb *a, const guint8 *data, gsize size,
			 struct annexb_frame *frame)
{
	struct content c = { 0 };
	const char *wrong;
	gsize used;

	*frame = (struct annexb_frame){ .data = data };
	if (size > G_MAXINT / 2)
		return "larger than any picture";
	wrong = walk(a, &c, data, size, &used);
	if (wrong)
		return wrong;
	if (!c.slice)
		return c.sps || c.pps ? NULL : "without a picture";
	if (c.pictures != 1)
		return c.pictures ? "several in one" : "a part of one";
	frame->length = used;
	frame->key = c.key;
	if (c.key && !(c.sps && c.pps))
		return join(a, &c, frame);
	return NULL;
}
