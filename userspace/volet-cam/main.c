// SPDX-License-Identifier: MIT
/*
 * volet-cam: the process of one camera. It is started with its bus to voletd and its own
 * section of the configuration as descriptors 3 and 4, opens its camera's nodes, shuts
 * itself in, and serves frames to the sessions that it is granted. It knows of no other
 * camera and reads no byte that came from the network.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "camera.h"
#include "error.h"
#include "kernel.h"
#include "log.h"
#include "rlimits.h"
#include "msg.h"
#include "sandbox.h"

#define SECTION_MAX	65536

static int fail(const char *camera, const GError *error)
{
	struct volet_bus msg = { .type = VOLET_BUS_FAILED };

	cam_log(camera, "%s", error->message);
	g_strlcpy(msg.failed.text, error->message, sizeof(msg.failed.text));
	msg_send(VOLET_FD_CONTROL, &msg, sizeof(msg), NULL, 0);
	return 1;
}

static struct volet_camera_config *read_section(int fd, GError **error)
{
	g_autofree char *text = g_malloc(SECTION_MAX);
	ssize_t n = pread(fd, text, SECTION_MAX, 0);

	close(fd);
	if (n < 0) {
		cam_error(error, errno, "reading the camera section (descriptor %d)", fd);
		return NULL;
	}
	return config_parse_camera(text, (gsize)n, error);
}

static gboolean is_bus(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static void say_ready(const struct camera *cam)
{
	struct volet_bus msg = {
		.type = VOLET_BUS_READY,
		.ready = { .width = cam->config->width, .height = cam->config->height },
	};

	g_strlcpy(msg.ready.camera, cam->config->name, sizeof(msg.ready.camera));
	msg_send(cam->bus, &msg, sizeof(msg), NULL, 0);
}

static const struct kernel_need needs[] = {
	{ KERNEL_LANDLOCK, true, "without it this program doesn't run" },
	{ KERNEL_SECCOMP, true, "without it this program doesn't run" },
	{ KERNEL_MEMFD_SEALS, true, "without it sessions could write to what they are shown" },
};

int main(void)
{
	g_autoptr(volet_camera_config) config = NULL;
	g_autoptr(GError) error = NULL;
	struct camera cam;
	int status = 0;

	log_by_line();
	if (!is_bus(VOLET_FD_CONTROL)) {
		cam_log("?",
			"voletd starts this program, with a bus as descriptor %d; there is none",
			VOLET_FD_CONTROL);
		return 2;
	}
	/* Both were inherited open; nothing started from here is to have them. */
	fcntl(VOLET_FD_CONTROL, F_SETFD, FD_CLOEXEC);
	config = read_section(VOLET_FD_EXTRA, &error);
	if (!config)
		return fail("?", error);
	if (!kernel_check("volet-cam", needs, G_N_ELEMENTS(needs))) {
		cam_error(&error, 0, "the kernel lacks what this program doesn't run without; the log"
			  " names it");
		return fail(config->name, error);
	}
	if (!camera_open(&cam, config, VOLET_FD_CONTROL, &error) || !limits_set(config, &error) ||
	    !(camera_has_codecs(&cam) ? sandbox_enter_codecs : sandbox_enter)(&error)) {
		status = fail(config->name, error);
	} else {
		say_ready(&cam);
		if (!camera_run(&cam, &error))
			status = fail(config->name, error);
	}
	camera_close(&cam);
	return status;
}
