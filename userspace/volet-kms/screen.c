// SPDX-License-Identifier: MIT
/* A DRM output and its buffers, through libdrm; see screen.h. */
#include "screen.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define BUFFERS	(VOLET_BUFFERS_MAX + 1)	/* and the black one */

const uint32_t screen_ioctls[SCREEN_IOCTLS] = { (uint32_t)DRM_IOCTL_MODE_PAGE_FLIP };

struct buffer {
	uint32_t handle, fb, pitch;
	uint64_t size;
	uint8_t *map;
	int exported;		/* DMA-buf, or -1 */
};

struct screen {
	int fd;
	uint32_t connector, crtc;
	drmModeModeInfo mode;
	unsigned int width, height;	/* of the picture */
	uint64_t offset;		/* of its first pixel: it is in the middle */
	struct buffer buffers[BUFFERS];
	bool flipped;
	char name[64];
};

static void failed(char why[SCREEN_WHY_MAX], const char *what)
{
	snprintf(why, SCREEN_WHY_MAX, "%s: %s", what, strerror(errno));
}

/* ---- the output ------------------------------------------------------------------------ */

static bool holds(const struct screen *screen, const drmModeModeInfo *mode)
{
	return mode->hdisplay >= screen->width && mode->vdisplay >= screen->height;
}

/* What the output itself likes best, if the picture fits in; else the smallest that holds it. */
static const drmModeModeInfo *choose_mode(const struct screen *screen,
					  const drmModeConnector *connector)
{
	const drmModeModeInfo *best = NULL;
	int i;

	for (i = 0; i < connector->count_modes; i++) {
		const drmModeModeInfo *mode = &connector->modes[i];

		if (!holds(screen, mode))
			continue;
		if (mode->type & DRM_MODE_TYPE_PREFERRED)
			return mode;
		if (!best || mode->hdisplay * mode->vdisplay < best->hdisplay * best->vdisplay)
			best = mode;
	}
	return best;
}

static uint32_t find_crtc(int fd, const drmModeRes *resources, const drmModeConnector *connector)
{
	uint32_t found = 0;
	int i, j;

	for (i = 0; !found && i < connector->count_encoders; i++) {
		drmModeEncoder *encoder = drmModeGetEncoder(fd, connector->encoders[i]);

		for (j = 0; encoder && !found && j < resources->count_crtcs; j++)
			if (encoder->possible_crtcs & (1u << j))
				found = resources->crtcs[j];
		drmModeFreeEncoder(encoder);
	}
	return found;
}

static void name_of(char name[32], const drmModeConnector *connector)
{
	const char *type = drmModeGetConnectorTypeName(connector->connector_type);

	snprintf(name, 32, "%s-%u", type ? type : "Unknown", connector->connector_type_id);
}

static bool take_connector(struct screen *screen, const drmModeRes *resources,
			   const drmModeConnector *connector, char why[SCREEN_WHY_MAX])
{
	const drmModeModeInfo *mode = choose_mode(screen, connector);
	char name[32];

	name_of(name, connector);
	screen->connector = connector->connector_id;
	screen->crtc = find_crtc(screen->fd, resources, connector);
	if (!mode || !screen->crtc) {
		snprintf(why, SCREEN_WHY_MAX, "%s has no mode of %ux%u or more that can be set: choose"
			 " a smaller size for the profile, or another connector", name,
			 screen->width, screen->height);
		return false;
	}
	screen->mode = *mode;
	snprintf(screen->name, sizeof(screen->name), "%s, %ux%u", name, mode->hdisplay,
		 mode->vdisplay);
	return true;
}

static bool find_output(struct screen *screen, const char *wanted, char why[SCREEN_WHY_MAX])
{
	drmModeRes *resources = drmModeGetResources(screen->fd);
	size_t n = (size_t)snprintf(why, SCREEN_WHY_MAX, "no such connector with a screen; there are");
	bool ok = false, found = false;
	int i;

	if (!resources) {
		failed(why, "this device has no outputs");
		return false;
	}
	for (i = 0; !found && i < resources->count_connectors; i++) {
		drmModeConnector *connector = drmModeGetConnector(screen->fd,
								  resources->connectors[i]);
		char name[32];

		if (!connector)
			continue;
		name_of(name, connector);
		found = connector->connection == DRM_MODE_CONNECTED &&
			(!*wanted || !strcmp(name, wanted));
		if (found)
			ok = take_connector(screen, resources, connector, why);
		else if (n < SCREEN_WHY_MAX)
			n += (size_t)snprintf(why + n, SCREEN_WHY_MAX - n, " %s (%s)", name,
					      connector->connection == DRM_MODE_CONNECTED ?
					      "a screen" : "none");
		drmModeFreeConnector(connector);
	}
	drmModeFreeResources(resources);
	return ok;
}

/* ---- its buffers ----------------------------------------------------------------------- */

static bool map_buffer(const struct screen *screen, struct buffer *buffer)
{
	struct drm_mode_map_dumb map = { .handle = buffer->handle };
	void *at;

	if (drmIoctl(screen->fd, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		return false;
	at = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, screen->fd,
		  (off_t)map.offset);
	if (at == MAP_FAILED)
		return false;
	buffer->map = at;
	memset(buffer->map, 0, buffer->size);
	return true;
}

static bool make_buffer(const struct screen *screen, struct buffer *buffer, char why[SCREEN_WHY_MAX])
{
	struct drm_mode_create_dumb dumb = {
		.width = screen->mode.hdisplay, .height = screen->mode.vdisplay, .bpp = 32,
	};
	uint32_t handles[4] = { 0 }, pitches[4] = { 0 }, offsets[4] = { 0 };

	if (drmIoctl(screen->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0) {
		failed(why, "a buffer of this size can't be had");
		return false;
	}
	buffer->handle = dumb.handle;
	buffer->pitch = dumb.pitch;
	buffer->size = dumb.size;
	handles[0] = dumb.handle;
	pitches[0] = dumb.pitch;
	if (drmModeAddFB2(screen->fd, dumb.width, dumb.height, DRM_FORMAT_XRGB8888, handles, pitches,
			  offsets, &buffer->fb, 0) < 0 || !map_buffer(screen, buffer)) {
		failed(why, "a buffer can't be shown or mapped");
		return false;
	}
	return true;
}

static bool make_buffers(struct screen *screen, bool export, char why[SCREEN_WHY_MAX])
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		struct buffer *buffer = &screen->buffers[i];

		if (!make_buffer(screen, buffer, why))
			return false;
		/* The black one is never anybody else's. */
		if (export && i != SCREEN_BLACK &&
		    drmPrimeHandleToFD(screen->fd, buffer->handle, DRM_CLOEXEC | DRM_RDWR,
				       &buffer->exported) < 0)
			buffer->exported = -1;
	}
	screen->offset = (uint64_t)(screen->mode.vdisplay - screen->height) / 2 *
				 screen->buffers[0].pitch +
			 (uint64_t)(screen->mode.hdisplay - screen->width) / 2 * 4;
	return true;
}

/* ---- the whole ------------------------------------------------------------------------- */

static bool open_device(struct screen *screen, const char *device, char why[SCREEN_WHY_MAX])
{
	uint64_t dumb = 0;

	screen->fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (screen->fd < 0) {
		snprintf(why, SCREEN_WHY_MAX, "%s: %s; volet-spawn's --display-gid is to be the group"
			 " of that node", device, strerror(errno));
		return false;
	}
	if (drmGetCap(screen->fd, DRM_CAP_DUMB_BUFFER, &dumb) < 0 || !dumb) {
		snprintf(why, SCREEN_WHY_MAX, "%s can't show what a processor has drawn (no dumb"
			 " buffers)", device);
		return false;
	}
	if (!drmIsMaster(screen->fd)) {
		snprintf(why, SCREEN_WHY_MAX, "%s: another program has the screen (a desktop, or"
			 " another display); end that one", device);
		return false;
	}
	return true;
}

struct screen *screen_open(const struct volet_local_config *config, char why[SCREEN_WHY_MAX])
{
	struct screen *screen = g_new0(struct screen, 1);
	unsigned int i;

	screen->width = config->width;
	screen->height = config->height;
	for (i = 0; i < BUFFERS; i++)
		screen->buffers[i].exported = -1;
	/* With an error this process ends, and the kernel takes back what there is by then. */
	if (!open_device(screen, config->device, why) ||
	    !find_output(screen, config->connector, why) ||
	    !make_buffers(screen, !config->copy, why))
		return NULL;
	if (drmModeSetCrtc(screen->fd, screen->crtc, screen->buffers[SCREEN_BLACK].fb, 0, 0,
			   &screen->connector, 1, &screen->mode) < 0) {
		failed(why, "the mode can't be set");
		return NULL;
	}
	return screen;
}

const char *screen_name(const struct screen *screen)
{
	return screen->name;
}

int screen_fd(const struct screen *screen)
{
	return screen->fd;
}

void screen_buffers(const struct screen *screen, struct volet_frame_buffers *buffers,
		    int fds[VOLET_BUFFERS_MAX])
{
	unsigned int i;

	*buffers = (struct volet_frame_buffers) {
		.width = screen->width, .height = screen->height, .offset = screen->offset,
		.pitch = screen->buffers[0].pitch, .size = screen->buffers[0].size,
	};
	for (i = 0; i < VOLET_BUFFERS_MAX; i++) {
		if (screen->buffers[i].exported < 0)
			return;
		fds[i] = screen->buffers[i].exported;
	}
	buffers->n = VOLET_BUFFERS_MAX;
}

void screen_copy(struct screen *screen, unsigned int index, const uint8_t *picture)
{
	const struct buffer *buffer = &screen->buffers[index];
	size_t line = (size_t)screen->width * 4;
	unsigned int row;

	for (row = 0; row < screen->height; row++)
		memcpy(buffer->map + screen->offset + (size_t)row * buffer->pitch,
		       picture + row * line, line);
}

int screen_flip(struct screen *screen, unsigned int index)
{
	return drmModePageFlip(screen->fd, screen->crtc, screen->buffers[index].fb,
			       DRM_MODE_PAGE_FLIP_EVENT, screen) < 0 ? -errno : 0;
}

static void on_flip(int fd G_GNUC_UNUSED, unsigned int sequence G_GNUC_UNUSED,
		    unsigned int seconds G_GNUC_UNUSED, unsigned int microseconds G_GNUC_UNUSED,
		    void *data)
{
	((struct screen *)data)->flipped = true;
}

bool screen_flipped(struct screen *screen)
{
	drmEventContext events = { .version = 2, .page_flip_handler = on_flip };

	screen->flipped = false;
	drmHandleEvent(screen->fd, &events);
	return screen->flipped;
}
