// SPDX-License-Identifier: MIT
/* Parser of the part of media-ctl's and v4l2-ctl's syntax that Volet reads; see syntax.h. */
#include "syntax.h"

#include <linux/media-bus-format.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

#define CODE(name) { #name, MEDIA_BUS_FMT_##name }

static const struct {
	const char *name;
	guint32 code;
} codes[] = {
	CODE(SBGGR8_1X8), CODE(SGBRG8_1X8), CODE(SGRBG8_1X8), CODE(SRGGB8_1X8),
	CODE(SBGGR10_1X10), CODE(SGBRG10_1X10), CODE(SGRBG10_1X10), CODE(SRGGB10_1X10),
	CODE(SBGGR12_1X12), CODE(SGBRG12_1X12), CODE(SGRBG12_1X12), CODE(SRGGB12_1X12),
	CODE(SBGGR14_1X14), CODE(SGBRG14_1X14), CODE(SGRBG14_1X14), CODE(SRGGB14_1X14),
	CODE(SBGGR16_1X16), CODE(SGBRG16_1X16), CODE(SGRBG16_1X16), CODE(SRGGB16_1X16),
	CODE(UYVY8_1_5X8), CODE(VYUY8_1_5X8), CODE(YUYV8_1_5X8), CODE(YVYU8_1_5X8),
	CODE(UYVY8_2X8), CODE(VYUY8_2X8), CODE(YUYV8_2X8), CODE(YVYU8_2X8),
	CODE(UYVY8_1X16), CODE(VYUY8_1X16), CODE(YUYV8_1X16), CODE(YVYU8_1X16),
	CODE(YUV8_1X24), CODE(RGB888_1X24), CODE(BGR888_1X24), CODE(RGB565_1X16),
	CODE(Y8_1X8), CODE(Y10_1X10), CODE(Y12_1X12), CODE(FIXED),
};

const char *syntax_code_name(guint32 code)
{
	static char hex[16];
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	snprintf(hex, sizeof(hex), "0x%04x", code);
	return hex;
}

/* A text and where the parser is in it. */
struct cursor {
	const char *text, *at;
};

static gboolean expected(const struct cursor *c, const char *what, GError **error)
{
	if (*c->at)
		return cam_error(error, 0, "in \"%s\" at \"%.24s\": expected %s", c->text, c->at,
				 what);
	return cam_error(error, 0, "\"%s\" ends too early: expected %s", c->text, what);
}

static void skip_space(struct cursor *c)
{
	while (g_ascii_isspace(*c->at))
		c->at++;
}

static gboolean take(struct cursor *c, const char *word)
{
	skip_space(c);
	if (!g_str_has_prefix(c->at, word))
		return FALSE;
	c->at += strlen(word);
	return TRUE;
}

static gboolean take_number(struct cursor *c, gint64 min, gint64 max, gint64 *value)
{
	char *end;

	skip_space(c);
	if (!g_ascii_isdigit(*c->at) && *c->at != '-')
		return FALSE;
	*value = g_ascii_strtoll(c->at, &end, 0);
	if (end == c->at || *value < min || *value > max)
		return FALSE;
	c->at = end;
	return TRUE;
}

static gboolean parse_pad(struct cursor *c, struct syntax_pad *pad, GError **error)
{
	const char *end;
	gint64 number;

	if (!take(c, "\""))
		return expected(c, "an entity's name in double quotes, as \"camera 0-0037\"",
				error);
	end = strchr(c->at, '"');
	if (!end)
		return expected(c, "a closing double quote after the entity's name", error);
	if (end == c->at || (gsize)(end - c->at) >= sizeof(pad->entity))
		return expected(c, "an entity's name of 1 to 63 characters", error);
	memcpy(pad->entity, c->at, (gsize)(end - c->at));
	pad->entity[end - c->at] = '\0';
	c->at = end + 1;
	if (!take(c, ":"))
		return expected(c, "':' and a pad number after the entity's name", error);
	if (!take_number(c, 0, G_MAXUINT16, &number))
		return expected(c, "a pad number", error);
	pad->pad = (guint)number;
	return TRUE;
}

static gboolean parse_size(struct cursor *c, guint *width, guint *height, GError **error)
{
	gint64 w, h;

	if (!take_number(c, 1, G_MAXUINT16, &w) || !take(c, "x") ||
	    !take_number(c, 1, G_MAXUINT16, &h))
		return expected(c, "a size as 1920x1080", error);
	*width = (guint)w;
	*height = (guint)h;
	return TRUE;
}

static gboolean parse_code(struct cursor *c, guint32 *code, GError **error)
{
	gsize n = strcspn(c->at, "/] ;,@"), i;
	gint64 number;

	for (i = 0; i < G_N_ELEMENTS(codes); i++) {
		if (strlen(codes[i].name) == n && !strncmp(codes[i].name, c->at, n)) {
			*code = codes[i].code;
			c->at += n;
			return TRUE;
		}
	}
	if (!take_number(c, 1, G_MAXUINT16, &number))
		return expected(c, "a media bus code that Volet knows, as SRGGB10_1X10 (`media-ctl "
				"--known-mbus-fmts`), or its number, as 0x300f", error);
	*code = (guint32)number;
	return TRUE;
}

static gboolean parse_rect(struct cursor *c, struct syntax_rect *rect, GError **error)
{
	gint64 left, top;

	if (!take(c, "(") || !take_number(c, G_MININT16, G_MAXUINT16, &left) || !take(c, ",") ||
	    !take_number(c, G_MININT16, G_MAXUINT16, &top) || !take(c, ")") || !take(c, "/"))
		return expected(c, "a rectangle as (0,0)/1920x1080", error);
	rect->left = (int)left;
	rect->top = (int)top;
	rect->set = TRUE;
	return parse_size(c, &rect->width, &rect->height, error);
}

static gboolean parse_link(struct cursor *c, gpointer item, GError **error)
{
	struct syntax_link *link = item;
	gint64 flag;

	if (!parse_pad(c, &link->source, error))
		return FALSE;
	if (!take(c, "->"))
		return expected(c, "'->' between the link's two pads", error);
	if (!parse_pad(c, &link->sink, error))
		return FALSE;
	if (!take(c, "[") || !take_number(c, 0, 1, &flag) || !take(c, "]"))
		return expected(c, "[1] to link or [0] to unlink", error);
	link->enable = flag == 1;
	return TRUE;
}

static gboolean parse_property(struct cursor *c, struct syntax_format *format, GError **error)
{
	if (take(c, "fmt:")) {
		if (!parse_code(c, &format->code, error))
			return FALSE;
		if (!take(c, "/"))
			return expected(c, "'/' and a size after the media bus code", error);
		format->set = TRUE;
		return parse_size(c, &format->width, &format->height, error);
	}
	if (take(c, "crop:"))
		return parse_rect(c, &format->crop, error);
	if (take(c, "compose:"))
		return parse_rect(c, &format->compose, error);
	return expected(c, "fmt:, crop:, compose: or the closing ']'", error);
}

static gboolean parse_format(struct cursor *c, gpointer item, GError **error)
{
	struct syntax_format *format = item;

	if (!parse_pad(c, &format->pad, error))
		return FALSE;
	if (!take(c, "["))
		return expected(c, "[fmt:CODE/WxH] after the pad", error);
	do {
		if (!parse_property(c, format, error))
			return FALSE;
	} while (!take(c, "]"));
	return TRUE;
}

static gboolean parse_control(struct cursor *c, gpointer item, GError **error)
{
	struct syntax_control *control = item;
	gsize n;

	skip_space(c);
	n = strspn(c->at, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (!n || n >= sizeof(control->name))
		return expected(c,
				"a control's name in lower case as `v4l2-ctl --list-ctrls` shows "
				"it, "
				"as vertical_blanking",
				error);
	memcpy(control->name, c->at, n);
	c->at += n;
	if (!take(c, "="))
		return expected(c, "'=' and a number after the control's name", error);
	if (!take_number(c, G_MININT64, G_MAXINT64, &control->value))
		return expected(c, "a number", error);
	return TRUE;
}

/* Items of `size` bytes, separated by ';' or ','. */
static GArray *parse_list(const char *text, guint size,
			  gboolean (*parse)(struct cursor *, gpointer, GError **), GError **error)
{
	g_autoptr(GArray) list = g_array_new(FALSE, TRUE, size);
	struct cursor c = { .text = text, .at = text };

	for (;;) {
		while (take(&c, ";") || take(&c, ","))
			;
		skip_space(&c);
		if (!*c.at)
			return g_steal_pointer(&list);
		g_array_set_size(list, list->len + 1);
		if (!parse(&c, list->data + (gsize)(list->len - 1) * size, error))
			return NULL;
		skip_space(&c);
		if (*c.at && *c.at != ';' && *c.at != ',') {
			expected(&c, "';' before the next one", error);
			return NULL;
		}
	}
}

GArray *syntax_links(const char *text, GError **error)
{
	return parse_list(text, sizeof(struct syntax_link), parse_link, error);
}

GArray *syntax_formats(const char *text, GError **error)
{
	return parse_list(text, sizeof(struct syntax_format), parse_format, error);
}

GArray *syntax_controls(const char *text, GError **error)
{
	return parse_list(text, sizeof(struct syntax_control), parse_control, error);
}
