// SPDX-License-Identifier: MIT
/*
 * evil-cam: stands where volet-cam does. volet-spawn starts it with the real handles, as the real
 * user; for a camera whose name begins with "evil" it is led by a test that listens on the
 * abstract socket volet-NAME (see evil.h), for any other it becomes the real program, which lies
 * beside it as volet-cam-real.
 *
 * With arguments, `evil-cam ATTEMPT NUMBER`, it makes the attempt in no sandbox, without limits.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "evil.h"
#include "protocol.h"
#include "rlimits.h"
#include "sandbox.h"

static struct volet_camera_config *config;

static const char *shut(void)
{
	static char text[512];
	g_autoptr(GError) error = NULL;

	if (limits_set(config, &error) && sandbox_enter(&error))
		return "ok";
	g_snprintf(text, sizeof(text), "failed %s", error->message);
	return text;
}

static int become_real(void)
{
	static char *const nothing[] = { NULL };
	char path[4096 + 8];
	ssize_t n = readlink("/proc/self/exe", path, 4096);
	char *const arguments[] = { path, NULL };

	if (n > 0) {
		memcpy(path + n, "-real", sizeof("-real"));
		execve(path, arguments, nothing);
	}
	perror("evil-cam: volet-cam-real");
	return EXIT_FAILURE;
}

static int alone(const char *name, long number)
{
	struct evil evil = { .lead = -1, .control = -1, .viewer = -1, .frames = -1, .memfd = -1 };
	long count = 0;
	int error = evil_try(&evil, name, number, &count);

	printf("%s: %s (%ld)\n", name, error ? strerror(error) : "worked", count);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct evil evil = { .control = VOLET_FD_CONTROL, .viewer = -1, .frames = -1, .memfd = -1,
			     .shut = shut };
	g_autofree char *text = g_malloc(65536), *lead = NULL;
	ssize_t n;

	if (argc > 1)
		return alone(argv[1], argc > 2 ? atol(argv[2]) : 0);
	n = pread(VOLET_FD_EXTRA, text, 65536, 0);
	config = n > 0 ? config_parse_camera(text, (gsize)n, NULL) : NULL;
	if (!config || !g_str_has_prefix(config->name, "evil"))
		return become_real();
	lead = g_strconcat("volet-", config->name, NULL);
	while ((evil.lead = evil_connect(lead)) < 0)
		usleep(50000);
	evil_serve(&evil);
	return EXIT_SUCCESS;
}
