/* SPDX-License-Identifier: MIT */
/*
 * The words of media-ctl and v4l2-ctl in which a camera section says how its media graph is
 * to be, as documented there; this is the part that Volet reads:
 *
 *   links     "entity":pad -> "entity":pad [1]         0 unlinks
 *   formats   "entity":pad [fmt:CODE/WxH crop:(L,T)/WxH compose:(L,T)/WxH]
 *   controls  name=value                               names as v4l2-ctl spells them
 *
 * Several are separated by ';' or ','. Entities are named in double quotes, never numbered:
 * numbers change from one boot to the next. Every error cites the text it is about and says
 * what is expected there.
 */
#ifndef VOLET_CAM_SYNTAX_H
#define VOLET_CAM_SYNTAX_H

#include <glib.h>

struct syntax_pad {
	char entity[64];
	guint pad;
};

struct syntax_link {
	struct syntax_pad source, sink;
	gboolean enable;
};

struct syntax_rect {
	gboolean set;
	int left, top;
	guint width, height;
};

struct syntax_format {
	struct syntax_pad pad;
	gboolean set;		/* fmt: was given */
	guint32 code;
	guint width, height;
	struct syntax_rect crop, compose;
};

struct syntax_control {
	char name[64];
	gint64 value;
};

/* Arrays of the structs above, or NULL with an error; an empty text gives an empty array. */
GArray *syntax_links(const char *text, GError **error);
GArray *syntax_formats(const char *text, GError **error);
GArray *syntax_controls(const char *text, GError **error);

/* "SRGGB10_1X10" for its code, or its number in hex; static until the next call. */
const char *syntax_code_name(guint32 code);

#endif
