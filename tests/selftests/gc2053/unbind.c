// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: it is unbound while its sub-device's node is open, and while a control is
 * being written. The files stay valid and say ENODEV; the sensor is neither spoken to nor
 * powered through them; closing them is safe, whenever that is. ROUNDS in the environment is
 * how often each is done. Memory that is used after it was freed shows only where the kernel
 * checks its memory: `make check` also runs this on such a one.
 */
#include "kselftest_harness.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "common.h"

#define MAX_FILES	8

static unsigned int rounds(unsigned int standard)
{
	const char *text = getenv("ROUNDS");

	return text ? (unsigned int)atoi(text) : standard;
}

/* A file that has what closing has to give back: a format of its own and events of controls */
static int open_sensor(void)
{
	struct v4l2_event_subscription event = {
		.type = V4L2_EVENT_CTRL, .id = V4L2_CID_EXPOSURE,
	};
	struct v4l2_subdev_format format = { .which = V4L2_SUBDEV_FORMAT_TRY };
	int fd = board_open_node(CAMERA, "gc2053 %u-0037");

	if (fd >= 0 && (ioctl(fd, VIDIOC_SUBSCRIBE_EVENT, &event) ||
			ioctl(fd, VIDIOC_SUBDEV_S_FMT, &format))) {
		close(fd);
		return -errno;
	}
	return fd;
}

FIXTURE(unbind) {
	int log;
	long references, usage;
};

FIXTURE_SETUP(unbind)
{
	ASSERT_EQ(0, sensor_reset());
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	self->references = board_module_references("gc2053");
	self->usage = sensor_usage();
}

FIXTURE_TEARDOWN(unbind)
{
	const char *said;

	EXPECT_EQ(0, sensor_reset());
	EXPECT_EQ(self->references, board_module_references_fall("gc2053", self->references));
	EXPECT_EQ(self->usage, sensor_usage());
	said = board_log_complaint(self->log);
	EXPECT_EQ(NULL, said) TH_LOG("the kernel's log has %s", said ? said : "");
	close(self->log);
}

/* Everything a file of the node can be asked, of which nothing is done any more */
static void check_gone(struct __test_metadata *_metadata, int fd)
{
	union {
		struct v4l2_subdev_capability capability;
		struct v4l2_subdev_format format;
		struct v4l2_subdev_selection selection;
		struct v4l2_subdev_mbus_code_enum code;
		struct v4l2_event_subscription subscription;
		struct v4l2_event event;
		struct v4l2_query_ext_ctrl query;
		struct v4l2_control control;
	} arg;
	static const unsigned long requests[] = {
		VIDIOC_SUBDEV_QUERYCAP, VIDIOC_SUBDEV_G_FMT, VIDIOC_SUBDEV_S_FMT,
		VIDIOC_SUBDEV_G_SELECTION, VIDIOC_SUBDEV_ENUM_MBUS_CODE, VIDIOC_SUBSCRIBE_EVENT,
		VIDIOC_UNSUBSCRIBE_EVENT, VIDIOC_DQEVENT, VIDIOC_QUERY_EXT_CTRL, VIDIOC_G_CTRL,
		VIDIOC_S_CTRL, VIDIOC_LOG_STATUS,
	};
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLPRI };

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		memset(&arg, 0, sizeof(arg));
		if (requests[i] == VIDIOC_S_CTRL || requests[i] == VIDIOC_G_CTRL)
			arg.control.id = V4L2_CID_EXPOSURE;
		EXPECT_EQ(-1, ioctl(fd, requests[i], &arg));
		EXPECT_EQ(ENODEV, errno) TH_LOG("ioctl number %zu", i);
	}
	EXPECT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_TRUE(poll_fd.revents & POLLERR);
}

/* The sensor has no power, and from here on nothing happens to it. */
static void check_quiet(struct __test_metadata *_metadata)
{
	struct trace trace;

	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(0, trace.num);
	trace_free(&trace);
}

TEST_F_TIMEOUT(unbind, open_files_outlive_it, 600)
{
	int files[MAX_FILES];

	for (unsigned int round = 0; round < rounds(12); round++) {
		/* Closed while unbound, while bound again, or after that was undone as well */
		unsigned int when = round % 3, num = 1 + round % MAX_FILES;
		int again = -1;

		for (unsigned int i = 0; i < num; i++) {
			files[i] = open_sensor();
			ASSERT_LE(0, files[i]);
		}
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(0, trace_clear(CAMERA));
		for (unsigned int i = 0; i < num; i++)
			check_gone(_metadata, files[i]);
		check_quiet(_metadata);

		if (when > 0) {
			ASSERT_EQ(0, board_sensor_bind(CAMERA));
			ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
			ASSERT_EQ(0, trace_clear(CAMERA));
			again = open_sensor();
			ASSERT_LE(0, again);
			EXPECT_EQ(0, set_control(again, V4L2_CID_EXPOSURE, 500));
			check_gone(_metadata, files[0]);
			check_quiet(_metadata);
		}
		if (when > 1) {
			ASSERT_EQ(0, board_sensor_unbind(CAMERA));
			check_gone(_metadata, again);
		}
		/* In the order of opening and in reverse */
		for (unsigned int i = 0; i < num; i++)
			close(files[round % 2 ? i : num - 1 - i]);
		if (when == 1)
			EXPECT_EQ(500, get_control(again, V4L2_CID_EXPOSURE));
		if (again >= 0)
			close(again);
		if (when != 1)
			ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
}

struct writer {
	int fd;
	unsigned int id;
	int value;
	atomic_int thread;
	int result;
};

static void *write_control(void *data)
{
	struct writer *writer = data;

	writer->thread = syscall(SYS_gettid);
	writer->result = set_control(writer->fd, writer->id, writer->value);
	return NULL;
}

/* Wait until a thread sleeps in an ioctl. */
static int wait_in_ioctl(struct writer *writer)
{
	for (int i = 0; i < 2000; i++) {
		char path[64], *text;
		long number = -1;

		snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", writer->thread);
		text = writer->thread ? board_read_file(path) : NULL;
		if (text && sscanf(text, "%ld", &number) != 1)
			number = -1;
		free(text);
		if (number == SYS_ioctl)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

/*
 * One control is on its way to the sensor, which is slow, and one waits for the first. Each
 * gets through before the power goes, or, where it came too late, says so.
 */
TEST_F_TIMEOUT(unbind, controls_on_their_way, 600)
{
	for (unsigned int round = 0; round < rounds(1); round++) {
		struct writer first = { .id = V4L2_CID_VFLIP, .value = 1 };
		struct writer second = { .id = V4L2_CID_HFLIP, .value = 1 };
		pthread_t threads[2];
		struct trace trace;
		int fd = open_sensor();

		ASSERT_LE(0, fd);
		first.fd = fd;
		second.fd = fd;
		/* Only a sensor in use is written to. */
		ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "on"));
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 1000));
		ASSERT_EQ(0, pthread_create(&threads[0], NULL, write_control, &first));
		ASSERT_EQ(0, wait_in_ioctl(&first));
		ASSERT_EQ(0, pthread_create(&threads[1], NULL, write_control, &second));
		ASSERT_EQ(0, wait_in_ioctl(&second));
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 0));

		EXPECT_EQ(0, first.result);
		EXPECT_TRUE(second.result == 0 || second.result == -ENODEV) {
			TH_LOG("the second said %d", second.result);
		}
		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_EQ(0, trace_count(&trace, TRACE_NACK));
		EXPECT_EQ(second.result ? 2 : 3, trace_last_write(&trace, 0, 0x17, NULL));
		EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", false, 0) + 1);
		trace_free(&trace);
		EXPECT_EQ(0, board_errors(CAMERA, NULL));

		close(fd);
		ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "auto"));
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
		ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	}
}

TEST_HARNESS_MAIN
