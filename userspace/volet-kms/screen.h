/* SPDX-License-Identifier: MIT */
/*
 * One output of a DRM device, with buffers of its own: all of it is found, set up and black
 * before the sandbox is shut; after that nothing is done to the device but page flips.
 *
 * Nothing here turns the output off. Whatever ends this process, the kernel then takes its
 * framebuffers from the output, and shows none or the console's: one way for every end.
 */
#ifndef VOLET_KMS_SCREEN_H
#define VOLET_KMS_SCREEN_H

#include <stdbool.h>

#include "config.h"

#define SCREEN_WHY_MAX	256
#define SCREEN_BLACK	VOLET_BUFFERS_MAX	/* the buffer in which no picture ever is */
#define SCREEN_IOCTLS	1

/* What is asked of the device from then on; for sandbox_apply_with(). */
extern const uint32_t screen_ioctls[SCREEN_IOCTLS];

struct screen;

/* The output is black afterwards. NULL, with a sentence that says what to do. */
struct screen *screen_open(const struct volet_local_config *config, char why[SCREEN_WHY_MAX]);

/* "Virtual-1, 1920x1080" */
const char *screen_name(const struct screen *screen);

/* Readable when a flip is done. */
int screen_fd(const struct screen *screen);

/* The buffers, for who is to fill them; none where the device doesn't export them, or isn't to. */
void screen_buffers(const struct screen *screen, struct volet_frame_buffers *buffers,
		    int fds[VOLET_BUFFERS_MAX]);

/* A picture of lines of width * 4 bytes into a buffer that isn't shown. */
void screen_copy(struct screen *screen, unsigned int index, const uint8_t *picture);

/* Show that buffer from the next frame on; one flip at a time. 0, or -errno. */
int screen_flip(struct screen *screen, unsigned int index);

/* Take what the device said; true when the flip is done. */
bool screen_flipped(struct screen *screen);

#endif
