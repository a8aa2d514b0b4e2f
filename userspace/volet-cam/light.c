// SPDX-License-Identifier: MIT
/* The loops of exposure and white balance, with a camera's frames; see light.h. */
#include "light.h"

#include <errno.h>
#include <string.h>

#include "error.h"

#define RETRY_NS	G_GUINT64_CONSTANT(500000000)
#define FAILURES_MAX	3

void light_init(struct light *l, const struct volet_camera_config *config, gboolean raw)
{
	*l = (struct light){ .config = config };
	meter_init(&l->meter, raw);
}

void light_free(struct light *l)
{
	g_free(l->said);
	l->said = NULL;
}

static char *exposure_text(const struct light *l, const struct sensor_light *device)
{
	const struct exposure_range *r = &l->exposure.range;
	g_autoptr(GString) text = NULL;

	if (l->config->light.exposure == VOLET_LIGHT_FIXED)
		return g_strdup("");
	if (!l->exposing)
		return g_strdup_printf("no auto exposure for \"%s\": %s\n", l->config->sensor,
				       device->exposure_note);
	text = g_string_new(NULL);
	g_string_append_printf(text, "auto exposure: %d to %d lines", r->lines_min, r->lines_max);
	if (r->line_rate > 0)
		g_string_append_printf(text, " of %.1f us", 1e6 / r->line_rate);
	g_string_append_printf(text, ", gain %.1f to %.1f",
			       exposure_gain(&l->exposure, r->gain_min),
			       MIN(exposure_gain(&l->exposure, r->gain_max),
				   MAX(l->config->light.max_gain, 1)));
	if (l->config->light.flicker_hz && r->line_rate <= 0)
		g_string_append(text, "; how long a line is isn't known: flicker-hz has no effect");
	if (l->config->light.slowest_rate && (r->line_rate <= 0 || !r->frame))
		g_string_append(text,
				"; how long a frame is isn't known: slowest-rate has no effect");
	g_string_append_c(text, '\n');
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Once, however often the device is opened, unless it has changed. */
static void say(struct light *l, const struct sensor_light *device)
{
	g_autofree char *exposure = exposure_text(l, device), *text = NULL;
	g_auto(GStrv) lines = NULL;
	guint i;

	if (l->config->light.white_balance == VOLET_LIGHT_FIXED)
		text = g_strdup(exposure);
	else if (l->balancing)
		text = g_strdup_printf("%sauto white balance\n", exposure);
	else
		text = g_strdup_printf("%sno auto white balance for \"%s\": %s\n", exposure,
				       l->config->light.isp, device->balance_note);
	if (!g_strcmp0(text, l->said))
		return;
	lines = g_strsplit(text, "\n", -1);
	for (i = 0; lines[i]; i++)
		if (*lines[i])
			cam_log(l->config->name, "%s", lines[i]);
	g_free(l->said);
	l->said = g_steal_pointer(&text);
}

static void open_balance(struct light *l, const struct sensor_light *device)
{
	const struct balance_setting before = l->balance.now;
	gboolean again = l->balancing;

	l->balancing = device->has_balance &&
		       !balance_init(&l->balance, &device->red, &device->blue, &device->balance);
	if (!l->balancing || !again)
		return;
	l->balance.now = before;
	l->wanted.balance = before;
	l->wanted.what |= SENSOR_BALANCE;
}

void light_opened(struct light *l, const struct sensor_light *device)
{
	if (l->exposing)
		l->total = exposure_total(&l->exposure);
	l->wanted.what = 0;
	l->failures = 0;
	l->retry_ns = 0;
	l->exposing = device->has_exposure &&
		      !exposure_init(&l->exposure, &l->config->light, &device->range,
				     &device->exposure);
	if (l->exposing && l->total > 0 &&
	    exposure_resume(&l->exposure, l->total, capture_now(), &l->wanted.exposure))
		l->wanted.what |= SENSOR_EXPOSURE;
	open_balance(l, device);
	say(l, device);
}

void light_start(struct light *l)
{
	exposure_start(&l->exposure);
}

static void expose(struct light *l, const struct meter_picture *pic,
		   const struct capture_frame *frame)
{
	struct exposure_measure measure;

	if (!exposure_frame(&l->exposure, frame->captured_ns, frame->sequence))
		return;
	meter_brightness(&l->meter, pic, &measure);
	if (exposure_update(&l->exposure, &measure, capture_now(), &l->wanted.exposure))
		l->wanted.what |= SENSOR_EXPOSURE;
}

/* Not while the exposure is being found: colours are wrong in what is clipped or black. */
static void balance(struct light *l, const struct meter_picture *pic)
{
	struct balance_measure measure;
	guint64 now = capture_now();

	if ((l->exposing && !l->exposure.calm) || !balance_due(&l->balance, now))
		return;
	meter_colour(&l->meter, pic, &measure);
	if (balance_update(&l->balance, &measure, now, &l->wanted.balance))
		l->wanted.what |= SENSOR_BALANCE;
}

void light_frame(struct light *l, const struct capture_frame *frame)
{
	const struct meter_picture pic = {
		.y = frame->y, .uv = frame->uv, .stride = frame->stride,
		.width = l->config->width, .height = l->config->height,
	};

	if (!frame->y)
		return;
	if (l->exposing)
		expose(l, &pic, frame);
	if (l->balancing)
		balance(l, &pic);
}

const struct sensor_values *light_wanted(const struct light *l)
{
	return l->wanted.what && capture_now() >= l->retry_ns ? &l->wanted : NULL;
}

void light_asked(struct light *l)
{
	l->wanted.what = 0;
}

static gboolean failed(struct light *l, const struct sensor_values *values, int errnum,
		       const char *text)
{
	if (!l->failures++)
		cam_log(l->config->name, "%s; trying again", text);
	l->retry_ns = capture_now() + RETRY_NS;
	if (values->what & SENSOR_EXPOSURE && l->exposing)
		exposure_set(&l->exposure, 0, NULL);
	/* A bus says ENXIO when one transfer wasn't answered, which the next may well be. */
	return errnum != ENODEV && l->failures < FAILURES_MAX;
}

gboolean light_answer(struct light *l, const struct sensor_values *values, int errnum,
		      const char *text)
{
	if (errnum)
		return failed(l, values, errnum, text);
	if (l->failures)
		cam_log(l->config->name, "the sensor can be set again");
	l->failures = 0;
	/* Something else may be wanted by now: that is what counts then. */
	if (values->what & SENSOR_EXPOSURE && l->exposing && !(l->wanted.what & SENSOR_EXPOSURE))
		exposure_set(&l->exposure, values->set_ns, &values->exposure);
	return TRUE;
}
