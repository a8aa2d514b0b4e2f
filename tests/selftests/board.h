/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the kernel modules know about the virtual board: how its nodes are found
 * (by entity name, never by number) and how its debugfs is read and written.
 *
 * Functions return a negative errno where nothing else is said.
 */
#ifndef VOLET_SELFTESTS_BOARD_H
#define VOLET_SELFTESTS_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BOARD_DEBUGFS	"/sys/kernel/debug/camsim"

/* The monotonic clock, which buffers are stamped by */
static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* The media device of a camera, opened */
int board_open_media(unsigned int camera);

/* The device node of an entity of that media device, opened read-write and non-blocking */
int board_open_entity(int media_fd, const char *name);

/* As above for one entity only; "%u" in the name is the camera's number */
int board_open_node(unsigned int camera, const char *name_format);

/* A whole file, freed by the caller; NULL and errno if it can't be read */
char *board_read_file(const char *path);
int board_write_file(const char *path, const char *text);

/* The same for a file of a camera in the board's debugfs */
char *board_debugfs_read(unsigned int camera, const char *file);
int board_debugfs_write(unsigned int camera, const char *file, const char *text);
int board_debugfs_write_number(unsigned int camera, const char *file, unsigned int number);

/*
 * The count that the board's `errors` keeps under a name, or the sum of all counts with NULL.
 */
long board_errors(unsigned int camera, const char *name);

/* Frames of the sensor since the board was made, with those that a slow machine left out */
unsigned long board_sensed(unsigned int camera);

/* The I2C device of a camera's sensor in sysfs: a GC2053, of the third camera an IMX219 */
#define BOARD_IMX219		2
char *board_sensor_read(unsigned int camera, const char *attribute);
int board_sensor_write(unsigned int camera, const char *attribute, const char *text);
bool board_sensor_is_bound(unsigned int camera);
int board_sensor_bind(unsigned int camera);
int board_sensor_unbind(unsigned int camera);

/*
 * Wait up to 30 seconds until the driver has probed and the nodes are there, as deferred probing brings
 * them back some time after the board. It counts as bound before.
 */
int board_sensor_wait_probed(unsigned int camera);

/* Wait until runtime PM has the sensor suspended: -ETIMEDOUT when it doesn't */
int board_sensor_wait_suspended(unsigned int camera, unsigned int timeout_ms);

/*
 * How many references there are to a module. DEBUG_KOBJECT_RELEASE gives some back seconds late: the
 * number is one that stayed for SETTLE_MS, in the environment, or as it is without. The second one
 * waits up to ten seconds for a number, and returns the last.
 */
long board_module_references(const char *module);
long board_module_references_fall(const char *module, long to);

/* Kernel messages from here on: open, then ask whether one of them contains the text */
int board_log_open(void);
bool board_log_has(int log_fd, const char *text);

/*
 * The first complaint of the kernel since the last question, or NULL: what it says of bugs, and of
 * counts that are wrong, with what it says next; good until the next question. What was read is not
 * read again, so that this is one question.
 */
const char *board_log_complaint(int log_fd);

#endif
