// SPDX-License-Identifier: MIT
/* See board.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/media.h>

#include "board.h"

#define MAX_MEDIA	16

static void sleep_ms(unsigned int ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

int board_open_media(unsigned int camera)
{
	struct media_device_info info;
	char path[32], bus_info[32];
	int fd;

	snprintf(bus_info, sizeof(bus_info), "platform:camsim-%u", camera);
	for (int i = 0; i < MAX_MEDIA; i++) {
		snprintf(path, sizeof(path), "/dev/media%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info) && !strcmp(info.bus_info, bus_info))
			return fd;
		close(fd);
	}
	return -ENODEV;
}

struct topology {
	struct media_v2_topology info;
	struct media_v2_entity *entities;
	struct media_v2_interface *interfaces;
	struct media_v2_link *links;
};

static void topology_free(struct topology *t)
{
	free(t->entities);
	free(t->interfaces);
	free(t->links);
}

/* The graph may grow between asking for its size and for itself: then it is asked again. */
static int topology_get(int fd, struct topology *t)
{
	uint64_t version;

	for (;;) {
		memset(t, 0, sizeof(*t));
		if (ioctl(fd, MEDIA_IOC_G_TOPOLOGY, &t->info))
			return -errno;
		version = t->info.topology_version;
		t->entities = calloc(t->info.num_entities + 1, sizeof(*t->entities));
		t->interfaces = calloc(t->info.num_interfaces + 1, sizeof(*t->interfaces));
		t->links = calloc(t->info.num_links + 1, sizeof(*t->links));
		t->info.num_pads = 0;
		t->info.ptr_entities = (uintptr_t)t->entities;
		t->info.ptr_interfaces = (uintptr_t)t->interfaces;
		t->info.ptr_links = (uintptr_t)t->links;
		if (!ioctl(fd, MEDIA_IOC_G_TOPOLOGY, &t->info) &&
		    t->info.topology_version == version)
			return 0;
		topology_free(t);
		if (errno != ENOSPC && t->info.topology_version == version)
			return -errno;
	}
}

static const struct media_v2_interface *find_interface(const struct topology *t, const char *name)
{
	for (uint32_t e = 0; e < t->info.num_entities; e++) {
		if (strcmp(t->entities[e].name, name))
			continue;
		for (uint32_t l = 0; l < t->info.num_links; l++) {
			const struct media_v2_link *link = &t->links[l];

			if ((link->flags & MEDIA_LNK_FL_LINK_TYPE) != MEDIA_LNK_FL_INTERFACE_LINK ||
			    link->sink_id != t->entities[e].id)
				continue;
			for (uint32_t i = 0; i < t->info.num_interfaces; i++)
				if (t->interfaces[i].id == link->source_id)
					return &t->interfaces[i];
		}
	}
	return NULL;
}

static int open_devnode(unsigned int major, unsigned int minor)
{
	char path[PATH_MAX], *uevent, *name;
	int fd = -ENOENT;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/uevent", major, minor);
	uevent = board_read_file(path);
	if (!uevent)
		return -errno;
	name = strstr(uevent, "DEVNAME=");
	if (name) {
		name += strlen("DEVNAME=");
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/%s", name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	free(uevent);
	return fd;
}

int board_open_entity(int media_fd, const char *name)
{
	const struct media_v2_interface *interface;
	struct topology t;
	int ret;

	ret = topology_get(media_fd, &t);
	if (ret)
		return ret;
	interface = find_interface(&t, name);
	ret = interface ? open_devnode(interface->devnode.major, interface->devnode.minor) : -ENOENT;
	topology_free(&t);
	return ret;
}

int board_open_node(unsigned int camera, const char *name_format)
{
	char name[64];
	int media_fd, fd;

	media_fd = board_open_media(camera);
	if (media_fd < 0)
		return media_fd;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(name, sizeof(name), name_format, camera);
#pragma GCC diagnostic pop
	fd = board_open_entity(media_fd, name);
	close(media_fd);
	return fd;
}

char *board_read_file(const char *path)
{
	size_t size = 0, room = 4096;
	char *text = malloc(room);
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !text) {
		free(text);
		return NULL;
	}
	while ((n = read(fd, text + size, room - size - 1)) > 0) {
		size += n;
		if (room - size < 2) {
			room *= 2;
			text = realloc(text, room);
			if (!text)
				break;
		}
	}
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	if (text)
		text[size] = '\0';
	return text;
}

int board_write_file(const char *path, const char *text)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static void debugfs_path(char *path, size_t size, unsigned int camera, const char *file)
{
	snprintf(path, size, BOARD_DEBUGFS "/%u/%s", camera, file);
}

char *board_debugfs_read(unsigned int camera, const char *file)
{
	char path[128];

	debugfs_path(path, sizeof(path), camera, file);
	return board_read_file(path);
}

int board_debugfs_write(unsigned int camera, const char *file, const char *text)
{
	char path[128];

	debugfs_path(path, sizeof(path), camera, file);
	return board_write_file(path, text);
}

int board_debugfs_write_number(unsigned int camera, const char *file, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return board_debugfs_write(camera, file, text);
}

long board_errors(unsigned int camera, const char *name)
{
	char *text = board_debugfs_read(camera, "errors"), *line, *save;
	char key[64];
	long sum = 0, count;

	if (!text)
		return -errno;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%63s %ld", key, &count) == 2 && (!name || !strcmp(name, key)))
			sum += count;
	free(text);
	return sum;
}

unsigned long board_sensed(unsigned int camera)
{
	char *text = board_debugfs_read(camera, "sensed");
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;

	free(text);
	return n;
}

static void sensor_path(char *path, size_t size, unsigned int camera, const char *attribute)
{
	snprintf(path, size, "/sys/bus/i2c/devices/%u-%s/%s", camera,
		 camera == BOARD_IMX219 ? "0010" : "0037", attribute);
}

char *board_sensor_read(unsigned int camera, const char *attribute)
{
	char path[128], *text;

	sensor_path(path, sizeof(path), camera, attribute);
	text = board_read_file(path);
	if (text)
		text[strcspn(text, "\n")] = '\0';
	return text;
}

int board_sensor_write(unsigned int camera, const char *attribute, const char *text)
{
	char path[128];

	sensor_path(path, sizeof(path), camera, attribute);
	return board_write_file(path, text);
}

bool board_sensor_is_bound(unsigned int camera)
{
	char path[128];

	sensor_path(path, sizeof(path), camera, "driver");
	return !access(path, F_OK);
}

static int sensor_driver_write(unsigned int camera, const char *file)
{
	char path[64], id[16];

	snprintf(path, sizeof(path), "/sys/bus/i2c/drivers/%s/%s",
		 camera == BOARD_IMX219 ? "imx219" : "gc2053", file);
	snprintf(id, sizeof(id), "%u-%s", camera, camera == BOARD_IMX219 ? "0010" : "0037");
	return board_write_file(path, id);
}

int board_sensor_bind(unsigned int camera)
{
	return sensor_driver_write(camera, "bind");
}

int board_sensor_unbind(unsigned int camera)
{
	return sensor_driver_write(camera, "unbind");
}

int board_sensor_wait_probed(unsigned int camera)
{
	for (int i = 0; i < 300; i++) {
		int fd = board_sensor_is_bound(camera) ? board_open_node(camera, "camsim%u-nv12")
						       : -1;

		if (fd >= 0) {
			close(fd);
			return 0;
		}
		sleep_ms(100);
	}
	return -ETIMEDOUT;
}

int board_sensor_wait_suspended(unsigned int camera, unsigned int timeout_ms)
{
	for (unsigned int ms = 0; ms <= timeout_ms; ms += 20) {
		char *status = board_sensor_read(camera, "power/runtime_status");
		bool suspended = status && !strcmp(status, "suspended");

		free(status);
		if (suspended)
			return 0;
		sleep_ms(20);
	}
	return -ETIMEDOUT;
}

static long references(const char *module)
{
	char path[64], *text;
	long count;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	text = board_read_file(path);
	count = text ? atol(text) : -1;
	free(text);
	return count;
}

long board_module_references(const char *module)
{
	const char *settle = getenv("SETTLE_MS");
	long count, before;

	count = references(module);
	if (!settle)
		return count;
	do {
		before = count;
		sleep_ms(atoi(settle));
		count = references(module);
	} while (count != before);
	return count;
}

long board_module_references_fall(const char *module, long to)
{
	long count = references(module);

	for (int i = 0; i < 500 && count > to; i++) {
		sleep_ms(20);
		count = references(module);
	}
	return count;
}

int board_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* The next message of the log; one that was overwritten meanwhile is left out. */
static bool log_read(int log_fd, char *record, size_t size)
{
	ssize_t n;

	do
		n = read(log_fd, record, size - 1);
	while (n < 0 && errno == EPIPE);
	if (n <= 0)
		return false;
	record[n] = '\0';
	return true;
}

bool board_log_has(int log_fd, const char *text)
{
	char record[8192];
	bool found = false;

	while (log_read(log_fd, record, sizeof(record)))
		found = found || strstr(record, text);
	return found;
}

static bool has_one_of(const char *record, const char * const *texts)
{
	while (*texts && !strstr(record, *texts))
		texts++;
	return *texts;
}

/*
 * videobuf2 counts, and says which counts of a queue or a buffer don't agree, a line each. Two are no
 * driver's: a reader who sleeps in DQBUF when the device goes is one not woken yet; and of a buffer
 * that had a good DMA-buf and is given a bad one, 6.12 puts the good one without buf_cleanup(). The
 * line of its users is there with any other. Whatever else videobuf2 says is a complaint.
 */
static bool complains(const char *record)
{
	static const char * const harmless[] = {
		"unbalanced counters for queue ", " wait_prepare: ", " buf_init: ", " get_dmabuf: ", NULL,
	};
	static const char * const bad[] = {
		"WARNING:", "BUG", "Oops", "refcount_t", "nbalanced", "Unable to handle", "UBSAN",
		"underflow", "use-after-free", NULL,
	};

	if (strstr(record, "videobuf2_common: "))
		return !has_one_of(record, harmless);
	return has_one_of(record, bad);
}

const char *board_log_complaint(int log_fd)
{
	static char said[512];
	unsigned int more = 0;		/* records that say what the first is about */
	char record[8192];

	said[0] = '\0';
	while (log_read(log_fd, record, sizeof(record))) {
		if (!said[0] && complains(record))
			more = 3;
		if (more) {
			char *text = strchr(record, ';');
			size_t used = strlen(said);

			more--;
			snprintf(said + used, sizeof(said) - used, "%.160s", text ? text + 1 : record);
		}
	}
	return said[0] ? said : NULL;
}
