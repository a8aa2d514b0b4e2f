// SPDX-License-Identifier: MIT
/*
 * Random ioctls, by two threads on the same files of every node of a camera: the media device, the
 * three sub-devices, both capture nodes and the scene. Arguments are made of what such structures
 * hold (types, small numbers, identities of controls, codes, sizes), of noise, and of what
 * succeeded before with some words changed. Then the same while the sensor comes and goes.
 *
 * SECONDS in the environment is how long (20 without), SEED where the numbers begin. Prints which
 * ioctl got which answer how often on which node; the kernel's own complaints are the result, and
 * whether all works afterwards.
 */
#include "kselftest_harness.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../camsim/common.h"
#include "../camsim/udmabuf.h"
#include "ioctl-list.h"

#define NUM_NODES	7
#define NODE_MEDIA	0
#define NODE_ISP	3
#define NUM_SETS	2
#define NUM_THREADS	2
#define NUM_ERRORS	134
#define ARG_SIZE	4096	/* the largest, VIDIOC_G_ENC_INDEX's, is 2072 */
#define ARENA_SIZE	(64 * 1024)

static const char * const node_names[NUM_NODES] = {
	"media", "gc2053 %u-0037", "camsim%u-csi", "camsim%u-isp", "camsim%u-raw", "camsim%u-nv12",
	"camsim%u-scene",
};

static struct {
	/* Held for reading by who uses a file, for writing by who opens them anew */
	pthread_rwlock_t lock;
	int files[NUM_SETS][NUM_NODES];
	int dmabuf;
	uint8_t *arena;
	atomic_bool stop;
	atomic_uint answers[NUM_CALLS][NUM_NODES][NUM_ERRORS];
	uint8_t worked[NUM_CALLS][ARG_SIZE];
	atomic_bool has_worked[NUM_CALLS];
} state = { .lock = PTHREAD_RWLOCK_INITIALIZER };

static unsigned int number_from(const char *name, unsigned int standard)
{
	const char *text = getenv(name);

	return text ? (unsigned int)atoi(text) : standard;
}

/* xorshift: the same seed makes the same calls, if not in the same order across threads */
static uint32_t next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 16;
}

static uint32_t one_of(uint64_t *random, const uint32_t *values, size_t num)
{
	return values[next(random) % num];
}

#define ONE_OF(random, ...)								\
	one_of(random, (const uint32_t[]){ __VA_ARGS__ },				\
	       sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static uint32_t control_id(uint64_t *random)
{
	return ONE_OF(random, V4L2_CID_VBLANK, V4L2_CID_HBLANK, V4L2_CID_EXPOSURE, V4L2_CID_HFLIP,
		      V4L2_CID_VFLIP, V4L2_CID_ANALOGUE_GAIN, V4L2_CID_DIGITAL_GAIN, V4L2_CID_LINK_FREQ,
		      V4L2_CID_PIXEL_RATE, 0x00981900 /* of the board */, 0) |
	       (next(random) % 4 ? 0 : ONE_OF(random, V4L2_CTRL_FLAG_NEXT_CTRL, 1u << 30, 3u << 30));
}

static uint32_t word(uint64_t *random)
{
	switch (next(random) % 10) {
	case 0 ... 3:
		return next(random) % 10;
	case 4:
		return control_id(random);
	case 5:
		return ONE_OF(random, V4L2_PIX_FMT_SRGGB10, V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_YUV420,
			      MEDIA_BUS_FMT_SRGGB10_1X10, MEDIA_BUS_FMT_YUYV8_1_5X8);
	case 6:
		return ONE_OF(random, WIDTH, HEIGHT, 640, 480, 64, 65535, NV12_SIZE, RAW_SIZE);
	case 7:
		return ONE_OF(random, 0xffffffff, 0x80000000, 0x7fffffff, 0x10000, 256);
	default:
		return next(random);
	}
}

static void fill_buffer(struct v4l2_buffer *b, uint64_t *random)
{
	b->index = next(random) % 4;
	b->type = ONE_OF(random, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_BUF_TYPE_VIDEO_OUTPUT);
	b->memory = ONE_OF(random, V4L2_MEMORY_MMAP, V4L2_MEMORY_MMAP, V4L2_MEMORY_DMABUF,
			   V4L2_MEMORY_USERPTR);
	if (b->memory == V4L2_MEMORY_DMABUF)
		b->m.fd = state.dmabuf;
	if (b->memory == V4L2_MEMORY_USERPTR)
		b->m.userptr = (uintptr_t)state.arena;
	b->bytesused = next(random) % 2 ? 0 : NV12_SIZE;
}

static void fill_controls(struct v4l2_ext_controls *c, uint64_t *random)
{
	struct v4l2_ext_control *control = (void *)state.arena;

	c->which = ONE_OF(random, V4L2_CTRL_WHICH_CUR_VAL, V4L2_CTRL_WHICH_DEF_VAL,
			  V4L2_CTRL_CLASS_USER, V4L2_CTRL_CLASS_IMAGE_SOURCE);
	c->count = next(random) % 4;
	c->controls = control;
	for (unsigned int i = 0; i < 4; i++) {
		memset(&control[i], 0, sizeof(control[i]));
		control[i].id = control_id(random);
		control[i].value64 = word(random);
	}
}

/* An argument of that call as a program might make it; all else is zero. */
static void fill(unsigned long request, void *arg, uint64_t *random)
{
	uint32_t *words = arg;

	switch (request) {
	case VIDIOC_QUERYBUF: case VIDIOC_QBUF: case VIDIOC_DQBUF: case VIDIOC_PREPARE_BUF:
		fill_buffer(arg, random);
		break;
	case VIDIOC_G_EXT_CTRLS: case VIDIOC_S_EXT_CTRLS: case VIDIOC_TRY_EXT_CTRLS:
		fill_controls(arg, random);
		break;
	case VIDIOC_REQBUFS:
		words[0] = next(random) % 5;
		words[1] = 1 + next(random) % 2;
		words[2] = ONE_OF(random, V4L2_MEMORY_MMAP, V4L2_MEMORY_DMABUF);
		break;
	case VIDIOC_CREATE_BUFS: {
		struct v4l2_create_buffers *create = arg;

		create->count = next(random) % 3;
		create->memory = ONE_OF(random, V4L2_MEMORY_MMAP, V4L2_MEMORY_DMABUF);
		create->format.type = 1 + next(random) % 2;
		create->format.fmt.pix.width = WIDTH;
		create->format.fmt.pix.height = HEIGHT;
		create->format.fmt.pix.sizeimage = next(random) % 2 ? NV12_SIZE : word(random);
		break;
	}
	case VIDIOC_G_CTRL: case VIDIOC_S_CTRL: case VIDIOC_QUERYCTRL: case VIDIOC_QUERYMENU:
	case VIDIOC_QUERY_EXT_CTRL:
		words[0] = control_id(random);
		words[1] = request == VIDIOC_S_CTRL ? next(random) % 3000 : 0;
		break;
	case VIDIOC_SUBSCRIBE_EVENT: case VIDIOC_UNSUBSCRIBE_EVENT:
		words[0] = ONE_OF(random, V4L2_EVENT_CTRL, V4L2_EVENT_FRAME_SYNC, V4L2_EVENT_ALL);
		words[1] = control_id(random);
		break;
	case VIDIOC_SUBDEV_ENUM_FRAME_SIZE: case VIDIOC_SUBDEV_ENUM_FRAME_INTERVAL:
		words[0] = next(random) % 4;
		words[1] = next(random) % 3;
		words[2] = ONE_OF(random, MEDIA_BUS_FMT_SRGGB10_1X10, MEDIA_BUS_FMT_YUYV8_1_5X8);
		break;
	case VIDIOC_ENUM_FRAMESIZES:
		words[1] = ONE_OF(random, V4L2_PIX_FMT_SRGGB10, V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_YUV420);
		break;
	case MEDIA_IOC_G_TOPOLOGY: {
		struct media_v2_topology *t = arg;

		t->num_entities = 8;
		t->num_links = 8;
		t->ptr_entities = (uintptr_t)state.arena;
		t->ptr_links = (uintptr_t)state.arena + ARENA_SIZE / 2;
		break;
	}
	case MEDIA_IOC_ENUM_LINKS: {
		struct media_links_enum *e = arg;

		e->entity = next(random) % 10;
		e->pads = (void *)state.arena;
		e->links = (void *)(state.arena + ARENA_SIZE / 2);
		break;
	}
	default:
		/* Most begin with a type, a pad or an index. */
		words[0] = next(random) % 4;
		if (_IOC_SIZE(request) > 4)
			words[1] = next(random) % 3;
	}
}

/*
 * Half a pointer that was changed may be another good one, and what the kernel writes there is this
 * program: pointers are into the arena, or no good at all. Any size of buffer is a good one: they
 * are not all of the machine's memory. A file that has lowered its priority can't raise it while
 * a sub-device's is open, and nearly all calls would be EBUSY: none does. And no buffer is removed:
 * where one is, 6.12 clears the counts of the whole queue, which VIDEO_ADV_DEBUG then finds unbalanced.
 */
static void tame(unsigned long request, void *arg, uint64_t *random)
{
	uint64_t half[2] = { (uintptr_t)state.arena, (uintptr_t)state.arena + ARENA_SIZE / 2 };

	for (int i = 0; i < 2; i++)
		half[i] = next(random) % 8 ? half[i] : next(random) % 2;
	switch (request) {
	case VIDIOC_CREATE_BUFS: {
		uint32_t *size = &((struct v4l2_create_buffers *)arg)->format.fmt.pix.sizeimage;

		*size = *size < RAW_SIZE ? *size : RAW_SIZE;
		break;
	}
	case VIDIOC_REMOVE_BUFS:
		((struct v4l2_remove_buffers *)arg)->count = 0;
		break;
	case VIDIOC_S_PRIORITY:
		if (*(uint32_t *)arg == V4L2_PRIORITY_BACKGROUND)
			*(uint32_t *)arg = V4L2_PRIORITY_INTERACTIVE;
		break;
	case MEDIA_IOC_G_TOPOLOGY: {
		struct media_v2_topology *t = arg;

		t->ptr_entities = t->ptr_pads = half[0];
		t->ptr_links = t->ptr_interfaces = half[1];
		break;
	}
	case MEDIA_IOC_ENUM_LINKS:
		((struct media_links_enum *)arg)->pads = (void *)(uintptr_t)half[0];
		((struct media_links_enum *)arg)->links = (void *)(uintptr_t)half[1];
		break;
	case VIDIOC_G_EXT_CTRLS: case VIDIOC_S_EXT_CTRLS: case VIDIOC_TRY_EXT_CTRLS:
		((struct v4l2_ext_controls *)arg)->controls = (void *)(uintptr_t)half[0];
		break;
	case VIDIOC_QUERYBUF: case VIDIOC_QBUF: case VIDIOC_DQBUF: case VIDIOC_PREPARE_BUF:
		if (((struct v4l2_buffer *)arg)->memory != V4L2_MEMORY_DMABUF)
			((struct v4l2_buffer *)arg)->m.userptr = half[0];
		break;
	case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT: {
		struct v4l2_format *f = arg;

		if (f->type == V4L2_BUF_TYPE_VIDEO_OVERLAY ||
		    f->type == V4L2_BUF_TYPE_VIDEO_OUTPUT_OVERLAY) {
			f->fmt.win.clips = (void *)(uintptr_t)half[0];
			f->fmt.win.bitmap = (void *)(uintptr_t)half[1];
		}
		break;
	}
	case VIDIOC_SUBDEV_G_EDID:
		((struct v4l2_edid *)arg)->edid = (void *)(uintptr_t)half[0];
		break;
	case VIDIOC_SUBDEV_G_ROUTING: case VIDIOC_SUBDEV_S_ROUTING:
		((struct v4l2_subdev_routing *)arg)->routes = half[0];
		break;
	case VIDIOC_S_FBUF:
		((struct v4l2_framebuffer *)arg)->base = NULL;
		break;
	}
}

static void make_argument(unsigned int call, void *arg, uint64_t *random)
{
	size_t size = _IOC_SIZE(calls[call].request), words = size / 4;
	uint32_t *word_of = arg;
	unsigned int changes;

	memset(arg, 0, ARG_SIZE);
	switch (next(random) % 8) {
	case 0:
		for (size_t i = 0; i < words; i++)
			word_of[i] = word(random);
		changes = 0;
		break;
	case 1 ... 4:
		fill(calls[call].request, arg, random);
		changes = next(random) % 2 ? 0 : 1 + next(random) % 2;
		break;
	default:
		if (state.has_worked[call])
			memcpy(arg, state.worked[call], size);
		changes = next(random) % 4;
	}
	while (words && changes--)
		word_of[next(random) % words] = word(random);
	tame(calls[call].request, arg, random);
}

static void *work(void *data)
{
	uint64_t random = (uintptr_t)data * 0x9e3779b97f4a7c15u + 1;
	static __thread uint8_t arg[ARG_SIZE] __attribute__((aligned(8)));

	while (!state.stop) {
		unsigned int call = next(&random) % NUM_CALLS, node = next(&random) % NUM_NODES;
		unsigned int set = next(&random) % NUM_SETS;
		int ret;

		make_argument(call, arg, &random);
		pthread_rwlock_rdlock(&state.lock);
		ret = ioctl(state.files[set][node], calls[call].request, arg) < 0 ? errno : 0;
		if (!ret && calls[call].request == VIDIOC_EXPBUF)
			close(((struct v4l2_exportbuffer *)arg)->fd);
		pthread_rwlock_unlock(&state.lock);
		state.answers[call][node][ret < NUM_ERRORS ? ret : NUM_ERRORS - 1]++;
		if (!ret) {
			memcpy(state.worked[call], arg, ARG_SIZE);
			state.has_worked[call] = true;
		}
	}
	return NULL;
}

static int open_files(unsigned int set)
{
	int missing = 0;

	for (unsigned int i = 0; i < NUM_NODES; i++) {
		int fd = i ? board_open_node(CAMERA, node_names[i]) : board_open_media(CAMERA);

		missing += fd < 0;
		state.files[set][i] = fd;
	}
	return missing;
}

static void close_files(unsigned int set)
{
	for (unsigned int i = 0; i < NUM_NODES; i++)
		close(state.files[set][i]);
}

static void report(struct __test_metadata *_metadata)
{
	for (unsigned int node = 0; node < NUM_NODES; node++) {
		unsigned int succeeded = 0, untried = 0;

		for (unsigned int call = 0; call < NUM_CALLS; call++) {
			char line[512] = "";
			unsigned int tried = 0;
			size_t used = 0;

			for (unsigned int e = 0; e < NUM_ERRORS; e++) {
				unsigned int times = state.answers[call][node][e];

				if (!times)
					continue;
				tried += times;
				used += snprintf(line + used, sizeof(line) - used, " %s:%u",
						 e ? strerrorname_np(e) : "ok", times);
			}
			printf("  %-16.16s %-34s%s\n", node_names[node], calls[call].name, line);
			succeeded += !!state.answers[call][node][0];
			untried += !tried;
		}
		ksft_print_msg("%-16.16s %u of %zu ioctls succeeded\n", node_names[node], succeeded, NUM_CALLS);
		EXPECT_EQ(0, untried);
		/*
		 * Else it would be noise that the framework refuses and the drivers never see. The media
		 * device and the ISP, which has no controls, know no more than seven or eight.
		 */
		EXPECT_LE(node == NODE_MEDIA || node == NODE_ISP ? 4 : 8, succeeded);
	}
}

FIXTURE(random) {
	struct udmabuf memory;
	pthread_t threads[NUM_THREADS];
	int log;
};

FIXTURE_SETUP(random)
{
	struct bench bench;

	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	for (unsigned int call = 0; call < NUM_CALLS; call++)
		ASSERT_LE(_IOC_SIZE(calls[call].request), ARG_SIZE);
	ASSERT_EQ(0, bench_open(&bench));
	bench_close(&bench);
	ASSERT_EQ(0, udmabuf_open(&self->memory, NV12_SIZE));
	state.dmabuf = self->memory.fd;
	/* With nothing behind it */
	state.arena = mmap(NULL, 2 * ARENA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, state.arena);
	ASSERT_EQ(0, mprotect(state.arena, ARENA_SIZE, PROT_READ | PROT_WRITE));
	memset(state.answers, 0, sizeof(state.answers));
	for (unsigned int set = 0; set < NUM_SETS; set++)
		ASSERT_EQ(0, open_files(set));
	state.stop = false;
	for (uintptr_t i = 0; i < NUM_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&self->threads[i], NULL, work,
					    (void *)(number_from("SEED", 1) + i)));
}

FIXTURE_TEARDOWN(random)
{
	const char *said;
	struct v4l2_buffer buffer;
	struct bench bench;
	void *frame;

	state.stop = true;
	for (unsigned int i = 0; i < NUM_THREADS; i++)
		pthread_join(self->threads[i], NULL);
	for (unsigned int set = 0; set < NUM_SETS; set++)
		close_files(set);
	udmabuf_close(&self->memory);
	munmap(state.arena, 2 * ARENA_SIZE);
	report(_metadata);
	/* New files: of what was set, formats and controls remain. */
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, board_write_file("/sys/bus/platform/drivers/camsim/unbind", "camsim-0"));
	ASSERT_EQ(0, board_write_file("/sys/bus/platform/drivers/camsim/bind", "camsim-0"));
	for (int i = 0; i < 100 && board_open_node(CAMERA, "camsim%u-nv12") < 0; i++)
		sleep_ms(100);
	ASSERT_EQ(0, bench_open(&bench));
	frame = grab(bench.nv12, 2, &buffer);
	EXPECT_NE(NULL, frame);
	free(frame);
	bench_close(&bench);
	said = board_log_complaint(self->log);
	EXPECT_EQ(NULL, said) TH_LOG("the kernel's log has %s", said ? said : "");
	close(self->log);
}

TEST_F_TIMEOUT(random, all_at_rest, 900)
{
	sleep(number_from("SECONDS", 20));
}

/* One set of files is opened anew each time, the other kept from before. */
TEST_F_TIMEOUT(random, the_sensor_comes_and_goes, 900)
{
	int64_t end = now_ns() + number_from("SECONDS", 20) / 4 * 1000000000LL;
	unsigned int rounds = 0;

	for (; now_ns() < end; rounds++) {
		unsigned int set = rounds % NUM_SETS;

		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		sleep_ms(50);
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
		pthread_rwlock_wrlock(&state.lock);
		close_files(set);
		for (int i = 0; i < 50 && open_files(set); i++) {
			close_files(set);
			sleep_ms(20);
		}
		pthread_rwlock_unlock(&state.lock);
		sleep_ms(500);
	}
	ksft_print_msg("%u rounds\n", rounds);
}

TEST_HARNESS_MAIN
