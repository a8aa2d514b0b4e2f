/* SPDX-License-Identifier: MIT */
/*
 * Is this an H.264 access unit that can be passed on? What a camera or a hardware encoder has
 * coded goes to the viewer without being decoded here, so its structure is checked (Annex B):
 * whole units of known types, one picture, progressive 4:2:0 of 8 bits, of the configured size,
 * nothing that refers to a later picture. A key frame (IDR) gets the parameter sets in front
 * of it where it came without them.
 *
 * A unit's own bits beyond the head of a slice are not looked at: that the picture is good is
 * known only to who decodes it.
 */
#ifndef VOLET_CAM_ANNEXB_H
#define VOLET_CAM_ANNEXB_H

#include <glib.h>

struct annexb;

struct annexb_frame {
	const guint8 *data;	/* the caller's own, or the annexb's until the next check */
	gsize length;		/* 0: parameter sets alone, which are kept */
	gboolean key;
};

struct annexb *annexb_new(guint width, guint height);
void annexb_free(struct annexb *annexb);	/* also right for NULL */

/* A stream begins anew: no parameter set of the one before is used again. */
void annexb_restart(struct annexb *annexb);

/* NULL when it is good; else what it is, to follow "frames that are". */
const char *annexb_check(struct annexb *annexb, const guint8 *data, gsize size,
			 struct annexb_frame *frame);

/* SPS and PPS as they came, in Annex B, into `out`. Their length, or 0: none, or no room. */
guint annexb_parameters(const struct annexb *annexb, guint8 *out, gsize size);

/* The size in a sequence parameter set (without its start code); else what is wrong with it. */
const char *annexb_sps(const guint8 *unit, gsize size, guint *width, guint *height);

#endif
