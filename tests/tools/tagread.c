// SPDX-License-Identifier: MIT
/*
 * tagread: reads raw frames on standard input and says, a line a frame, whose they are.
 *
 *   ffmpeg -i rtsp://... -f rawvideo -pix_fmt gray - | tagread
 *
 *   frame=0 camera=0 seq=17 time_ns=8123456789 scene=4 copies=2 age_ms=212.3
 *   frame=1 unreadable
 *   frame=1 no-signal		(nothing drawn there: the streamer's own picture)
 *   frame=2 torn camera=0,0 seq=17,18
 *
 * The age is the time from the tag's to now, and means something only on the machine that
 * drew it. A frame whose two copies hold and differ is torn. A summary goes to standard
 * error at the end. Exits with 0 when every frame was readable, 1 when one was not or there
 * was none, 2 for wrong use. Pictures of a `test` camera are read with --test.
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tag.h"

#define CAMERAS_MAX 256

struct totals {
	unsigned long frames, unreadable, torn, repeated, no_signal;
	unsigned long of_camera[CAMERAS_MAX];
	uint32_t last_seq[CAMERAS_MAX];
	double age_min, age_max, age_sum;
};

static double age_ms(uint64_t time_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((double)now.tv_sec * 1e9 + (double)now.tv_nsec - (double)time_ns) / 1e6;
}

static void good_frame(struct totals *t, const struct tag *tag, unsigned int copies)
{
	double age = age_ms(tag->time_ns);
	bool first = t->frames == t->unreadable + t->torn + t->no_signal;

	t->age_min = first ? age : MIN(age, t->age_min);
	t->age_max = first ? age : MAX(age, t->age_max);
	t->age_sum += age;
	if (t->of_camera[tag->camera] && t->last_seq[tag->camera] == tag->seq)
		t->repeated++;
	t->of_camera[tag->camera]++;
	t->last_seq[tag->camera] = tag->seq;
	printf("frame=%lu camera=%u seq=%u time_ns=%" G_GUINT64_FORMAT
	       " scene=%u copies=%u age_ms=%.1f\n",
	       t->frames, tag->camera, tag->seq, tag->time_ns, tag->scene, copies, age);
}

static void read_frame(struct totals *t, const struct tag_picture *pic)
{
	struct tag tag[TAG_COPIES];
	bool held[TAG_COPIES];

	held[0] = tag_read(pic, 0, &tag[0]);
	held[1] = tag_read(pic, 1, &tag[1]);
	if (!held[0] && !held[1] && tag_blank(pic)) {
		printf("frame=%lu no-signal\n", t->frames);
		t->no_signal++;
	} else if (!held[0] && !held[1]) {
		printf("frame=%lu unreadable\n", t->frames);
		t->unreadable++;
	} else if (held[0] && held[1] &&
		   (tag[0].camera != tag[1].camera || tag[0].seq != tag[1].seq ||
		    tag[0].time_ns != tag[1].time_ns || tag[0].scene != tag[1].scene)) {
		printf("frame=%lu torn camera=%u,%u seq=%u,%u\n", t->frames,
		       tag[0].camera, tag[1].camera, tag[0].seq, tag[1].seq);
		t->torn++;
	} else {
		good_frame(t, &tag[held[0] ? 0 : 1], held[0] + held[1]);
	}
	t->frames++;
	fflush(stdout);
}

/* Fill `buf`; 1 when full, 0 at the end between two frames, -1 for a part of a frame. */
static int read_full(uint8_t *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(STDIN_FILENO, buf + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return got ? -1 : 0;
		got += (size_t)n;
	}
	return 1;
}

static void summary(const struct totals *t)
{
	unsigned long good = t->frames - t->unreadable - t->torn - t->no_signal;
	unsigned int camera;

	fprintf(stderr, "tagread: %lu frames, %lu unreadable, %lu torn, %lu repeated, %lu no signal",
		t->frames, t->unreadable, t->torn, t->repeated, t->no_signal);
	for (camera = 0; camera < CAMERAS_MAX; camera++)
		if (t->of_camera[camera])
			fprintf(stderr, ", camera %u: %lu", camera, t->of_camera[camera]);
	if (good)
		fprintf(stderr, ", age ms min %.1f mean %.1f max %.1f", t->age_min,
			t->age_sum / (double)good, t->age_max);
	fputc('\n', stderr);
}

static int usage(const char *what)
{
	fprintf(stderr, "tagread: %s\nusage: tagread [--size WxH] [--format gray|nv12|yuv420p] "
		"[--flip h|v|hv] [--test] <FRAMES\n", what);
	return 2;
}

int main(int argc, char **argv)
{
	g_autofree char *size_text = NULL, *format = NULL, *flip = NULL;
	g_autoptr(GOptionContext) context = g_option_context_new("<FRAMES");
	g_autoptr(GError) error = NULL;
	gboolean test = FALSE;
	GOptionEntry entries[] = {
		{ "size", 0, 0, G_OPTION_ARG_STRING, &size_text, "1920x1080 if not said", "WxH" },
		{ "format", 0, 0, G_OPTION_ARG_STRING, &format, "gray if not said",
		  "gray|nv12|yuv420p" },
		{ "flip", 0, 0, G_OPTION_ARG_STRING, &flip, "how the sensor mirrors", "h|v|hv" },
		{ "test", 0, 0, G_OPTION_ARG_NONE, &test, "pictures of a test camera", NULL },
		{ NULL }
	};
	struct tag_picture pic = { .width = 1920, .height = 1080 };
	g_autofree uint8_t *buf = NULL;
	struct totals totals = { 0 };
	size_t frame_size;
	int got;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage(error->message);
	if (argc > 1)
		return usage("frames are read from standard input, there are no arguments");
	if (size_text &&
	    (sscanf(size_text, "%ux%u", &pic.width, &pic.height) != 2 ||
	     pic.width < (test ? 160 : 480) || pic.height < (test ? 64 : 270) ||
	     pic.width > 8192 || pic.height > 8192))
		return usage("--size is to be WxH, from 480x270 (a test camera's: 160x64) to "
			     "8192x8192");
	if (test)
		pic.cell = tag_cell(pic.width);
	if (flip && strcmp(flip, "h") && strcmp(flip, "v") && strcmp(flip, "hv"))
		return usage("--flip is to be h, v or hv");
	frame_size = (size_t)pic.width * pic.height;
	if (!g_strcmp0(format, "nv12") || !g_strcmp0(format, "yuv420p"))
		frame_size += 2 * (size_t)((pic.width + 1) / 2) * ((pic.height + 1) / 2);
	else if (format && strcmp(format, "gray"))
		return usage("--format is to be gray, nv12 or yuv420p");
	pic.hflip = flip && strchr(flip, 'h');
	pic.vflip = flip && strchr(flip, 'v');
	pic.stride = pic.width;
	pic.luma = buf = g_malloc(frame_size);

	while ((got = read_full(buf, frame_size)) > 0)
		read_frame(&totals, &pic);
	if (got < 0)
		fputs("tagread: the input ends in a frame: check --size and --format\n", stderr);
	summary(&totals);
	return totals.frames > totals.no_signal && !totals.unreadable && !totals.torn ? 0 : 1;
}
