// SPDX-License-Identifier: MIT
/*
 * Memory runs out: each allocation of the sensor's probe, of the board's and of a stream's start
 * fails in turn, until one attempt has none left to fail. Each attempt either fails, and then
 * leaves nothing switched on, bound, counted or registered; or the kernel did without what it
 * lacked, and then all works. What leaks is for kmemleak to say, afterwards.
 *
 * One function of the kernel is spared: __v4l2_device_register_subdev_nodes() of 6.12 uses an
 * interface that it may not have got, and where it gives up releases sub-devices that stay
 * registered, and then a second time; no driver can prevent either (Documentation/debug-kernel.rst
 * has both). SPARE= (empty) in the environment spares none.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "../gc2053/common.h"
#include "fault.h"

#define BOARD		"/sys/bus/platform/drivers/camsim/"
#define SENSOR		"/sys/bus/i2c/drivers/gc2053/"
/* More than anything here allocates: a loop has to end by itself before. */
#define MAX_ALLOCATIONS	20000

FIXTURE(fail) {
	int nth, log;
	long usage, references, board_references;
};

static int spare(void)
{
	const char *text = getenv("SPARE");

	if (text && !*text)
		return 0;
	return fault_spare(text ? text : "__v4l2_device_register_subdev_nodes");
}

FIXTURE_SETUP(fail)
{
	if (access(FAULT_NTH, F_OK) || fault_setup())
		SKIP(return, "no fault injection: needs a kernel with CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAULT_INJECTION_DEBUG_FS and CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
	ASSERT_EQ(0, spare());
	ASSERT_EQ(0, sensor_reset());
	self->nth = open(FAULT_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->nth);
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	self->usage = sensor_usage();
	self->references = board_module_references("gc2053");
	self->board_references = board_module_references("camsim");
}

FIXTURE_TEARDOWN(fail)
{
	const char *said;

	EXPECT_EQ(0, sensor_reset());
	EXPECT_EQ(self->usage, sensor_usage());
	EXPECT_EQ(self->references, board_module_references_fall("gc2053", self->references));
	EXPECT_EQ(self->board_references, board_module_references_fall("camsim", self->board_references));
	said = board_log_complaint(self->log);
	EXPECT_EQ(NULL, said) TH_LOG("the kernel's log has %s", said ? said : "");
	close(self->log);
	close(self->nth);
}

/* One write to a file that is open already, so that all that fails is the kernel's own. */
struct attempt {
	int fd;
	const char *text;
};

static int write_attempt(void *data)
{
	const struct attempt *a = data;

	return write(a->fd, a->text, strlen(a->text)) < 0 ? -errno : 0;
}

/* Whatever the attempt switched on is off again. */
static bool all_is_off(void)
{
	static const char * const pins[] = { "iovdd", "dvdd", "avdd", "xclk" };
	struct trace trace;
	bool off = true;

	if (trace_get(CAMERA, &trace))
		return false;
	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		bool on = false;

		for (size_t e = 0; e < trace.num; e++)
			if (trace.events[e].kind == TRACE_PIN && !strcmp(trace.events[e].pin, pins[i]))
				on = trace.events[e].on;
		off = off && !on;
	}
	trace_free(&trace);
	return off;
}

static int stream_a_frame(void)
{
	int fd = board_open_node(CAMERA, "camsim%u-raw"), ret;
	struct v4l2_buffer buffer;
	struct stream stream;

	if (fd < 0)
		return fd;
	ret = stream_open(&stream, fd);
	if (!ret) {
		ret = stream_start(&stream);
		if (!ret)
			ret = stream_next(&stream, &buffer, 10000);
		stream_stop(&stream);
		stream_close(&stream);
	}
	close(fd);
	return ret;
}

struct count {
	unsigned int failed, did_without, last;
};

#define COUNTED(what, c)								\
	TH_LOG("%s: %u allocations; %u attempts failed, %u did without", what,		\
	       (c).last - 1, (c).failed, (c).did_without)

/*
 * Not everybody passes on what was lacking: to device_add() a name that dev_set_name() couldn't make is
 * none, the regulator core finds a supply wrong, and videobuf2 a plane it could make no DMA-buf of.
 */
static void check_error(struct __test_metadata *_metadata, unsigned int n, int ret)
{
	EXPECT_TRUE(ret == -ENOMEM || ret == -EINVAL) TH_LOG("n %u: %d", n, ret);
}

TEST_F_TIMEOUT(fail, sensor_probe, 900)
{
	struct attempt bind = { .text = "0-0037" };
	struct count c = { 0 };
	bool hit = true;
	long others;

	bind.fd = open(SENSOR "bind", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, bind.fd);
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	others = board_module_references("gc2053");	/* of the other camera's sensor */
	for (unsigned int n = 1; hit; n++) {
		int ret;

		ASSERT_GT(MAX_ALLOCATIONS, n);
		ASSERT_EQ(0, trace_clear(CAMERA));
		ret = fault_run(self->nth, n, write_attempt, &bind, &hit);
		c.last = n;
		ASSERT_EQ(!ret, board_sensor_is_bound(CAMERA)) TH_LOG("n %u: %d", n, ret);
		if (ret) {
			c.failed++;
			check_error(_metadata, n, ret);
			ASSERT_TRUE(all_is_off()) TH_LOG("n %u", n);
			ASSERT_EQ(self->usage, sensor_usage()) TH_LOG("n %u", n);
			ASSERT_EQ(others, board_module_references_fall("gc2053", others)) TH_LOG("n %u", n);
			continue;
		}
		c.did_without += hit;
		EXPECT_EQ(0, stream_a_frame()) TH_LOG("bound without allocation %u", n);
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(self->usage, sensor_usage()) TH_LOG("n %u", n);
	}
	COUNTED("the sensor's probe", c);
	EXPECT_LT(50, c.failed);
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
	EXPECT_EQ(0, stream_a_frame());
	close(bind.fd);
}

/* The board without the sensor's driver: what that adds is in the test above. */
TEST_F_TIMEOUT(fail, board_probe, 3000)
{
	struct attempt bind = { .text = "camsim-0" };
	struct count c = { 0 };
	bool hit = true;

	bind.fd = open(BOARD "bind", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, bind.fd);
	for (unsigned int i = 0; i < 2; i++)
		if (board_sensor_is_bound(i))
			ASSERT_EQ(0, board_sensor_unbind(i));
	ASSERT_EQ(0, system("modprobe -r --wait=20000 gc2053"));
	ASSERT_EQ(0, board_write_file(BOARD "unbind", "camsim-0"));
	for (unsigned int n = 1; hit; n++) {
		int ret;

		ASSERT_GT(MAX_ALLOCATIONS, n);
		ret = fault_run(self->nth, n, write_attempt, &bind, &hit);
		c.last = n;
		ASSERT_EQ(!ret, !access(BOARD "camsim-0", F_OK)) TH_LOG("n %u: %d", n, ret);
		if (ret) {
			c.failed++;
			check_error(_metadata, n, ret);
			ASSERT_NE(0, access(BOARD_DEBUGFS "/0", F_OK)) TH_LOG("n %u", n);
			continue;
		}
		c.did_without += hit;
		ASSERT_EQ(0, board_write_file(BOARD "unbind", "camsim-0"));
	}
	COUNTED("the board's probe", c);
	EXPECT_LT(50, c.failed);
	ASSERT_EQ(0, board_write_file(BOARD "bind", "camsim-0"));
	ASSERT_EQ(0, system("modprobe gc2053"));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
	EXPECT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	EXPECT_EQ(0, stream_a_frame());
	close(bind.fd);
}

static int stream_on(void *data)
{
	return stream_start(data);
}

static void check_start(struct __test_metadata *_metadata, int nth, long usage, const char *node)
{
	int fd = board_open_node(CAMERA, node);
	struct v4l2_buffer buffer;
	struct count c = { 0 };
	struct stream stream;
	bool hit = true;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	for (unsigned int n = 1; hit; n++) {
		int ret;

		ASSERT_GT(MAX_ALLOCATIONS, n);
		ret = fault_run(nth, n, stream_on, &stream, &hit);
		c.last = n;
		if (ret) {
			c.failed++;
			EXPECT_EQ(-ENOMEM, ret) TH_LOG("n %u", n);
			ASSERT_EQ(usage, sensor_usage()) TH_LOG("n %u", n);
			continue;
		}
		c.did_without += hit;
		EXPECT_EQ(0, stream_next(&stream, &buffer, 10000));
		EXPECT_EQ(0, stream_stop(&stream));
		ASSERT_EQ(usage, sensor_usage()) TH_LOG("n %u", n);
	}
	COUNTED("a start", c);
	EXPECT_LT(0, c.failed);
	stream_close(&stream);
	close(fd);
}

TEST_F_TIMEOUT(fail, raw_start, 300)
{
	check_start(_metadata, self->nth, self->usage, "camsim%u-raw");
}

TEST_F_TIMEOUT(fail, nv12_start, 300)
{
	check_start(_metadata, self->nth, self->usage, "camsim%u-nv12");
}

/* Buffers, their mappings and their handles: from opening the node to closing it */
static int use_buffers(void *data)
{
	struct v4l2_exportbuffer export = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .flags = O_CLOEXEC };
	const char *path = data;
	struct stream stream;
	int fd, ret;

	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = stream_open(&stream, fd);
	if (!ret) {
		if (stream.num < STREAM_BUFFERS)
			ret = -ENOMEM;
		else if (ioctl(fd, VIDIOC_EXPBUF, &export))
			ret = -errno;
		else
			close(export.fd);
		stream_close(&stream);
	}
	close(fd);
	return ret;
}

TEST_F_TIMEOUT(fail, buffers, 600)
{
	char link[64], path[64] = "";
	struct count c = { 0 };
	bool hit = true;
	int fd;

	fd = board_open_node(CAMERA, "camsim%u-nv12");
	ASSERT_LE(0, fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	close(fd);
	for (unsigned int n = 1; hit; n++) {
		int ret;

		ASSERT_GT(MAX_ALLOCATIONS, n);
		ret = fault_run(self->nth, n, use_buffers, path, &hit);
		c.last = n;
		c.failed += !!ret;
		c.did_without += !ret && hit;
		if (ret)
			check_error(_metadata, n, ret);
	}
	COUNTED("buffers", c);
	EXPECT_LT(5, c.failed);
	EXPECT_EQ(0, stream_a_frame());
}

TEST_HARNESS_MAIN
