// SPDX-License-Identifier: MIT
/*
 * Private memory: what nobody but its owner may do with it. Each refusal is first shown not
 * to come by itself: the same is done to memory that lacks the protection, and works.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/udmabuf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define SIZE	(64 * 1024)

/* A memfd as memory_new() begins, without what it does at the end. */
static int open_memfd(void)
{
	int fd = memfd_create("unprotected", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
	return fd;
}

static int open_udmabuf(void)
{
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		g_test_skip("no /dev/udmabuf here; the board has one");
	return fd;
}

static int make_dmabuf(int udmabuf, int memfd)
{
	struct udmabuf_create create = { .memfd = (guint32)memfd,
					 .flags = UDMABUF_FLAGS_CLOEXEC,
					 .size = SIZE };

	return ioctl(udmabuf, UDMABUF_CREATE, &create);
}

static void new_memory(struct memory *m, int udmabuf)
{
	GError *error = NULL;

	g_assert_true(memory_new(m, "test", SIZE, udmabuf, &error));
	g_assert_no_error(error);
}

static void test_write_map(void)
{
	int plain = open_memfd();
	struct memory m;
	void *map;

	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);
	g_assert_true(map != MAP_FAILED);
	munmap(map, SIZE);
	close(plain);

	new_memory(&m, -1);
	g_assert_true(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.memfd, 0) ==
		      MAP_FAILED);
	g_assert_cmpint(errno, ==, EPERM);
	g_assert_cmpint(write(m.memfd, "x", 1), ==, -1);
	g_assert_cmpint(errno, ==, EPERM);
	/* What it is for: the owner writes, the reader sees it and can't write itself. */
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, m.memfd, 0);
	g_assert_true(map != MAP_FAILED);
	strcpy((char *)m.map, "frame");
	g_assert_cmpstr(map, ==, "frame");
	g_assert_cmpint(mprotect(map, SIZE, PROT_READ | PROT_WRITE), ==, -1);
	g_assert_cmpint(errno, ==, EACCES);
	munmap(map, SIZE);
	memory_free(&m);
}

static void test_resize(void)
{
	int plain = open_memfd();
	struct memory m;

	g_assert_cmpint(ftruncate(plain, SIZE / 2), ==, 0);
	g_assert_cmpint(ftruncate(plain, SIZE * 2), ==, 0);
	close(plain);
	new_memory(&m, -1);
	g_assert_cmpint(ftruncate(m.memfd, SIZE / 2), ==, -1);
	g_assert_cmpint(errno, ==, EPERM);
	g_assert_cmpint(ftruncate(m.memfd, SIZE * 2), ==, -1);
	g_assert_cmpint(errno, ==, EPERM);
	g_assert_cmpint(fallocate(m.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), ==,
			-1);
	memory_free(&m);
}

static void test_seal(void)
{
	int plain = open_memfd();
	struct memory m;

	g_assert_cmpint(fcntl(plain, F_ADD_SEALS,
			      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE),
			==, 0);
	/* Who receives it can take even the owner's right to map it: without F_SEAL_SEAL it may. */
	g_assert_cmpint(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), ==, 0);
	close(plain);
	new_memory(&m, -1);
	g_assert_cmpint(fcntl(m.memfd, F_GET_SEALS), ==,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	g_assert_cmpint(fcntl(m.memfd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
	g_assert_cmpint(errno, ==, EPERM);
	memory_free(&m);
}

static void test_second_dmabuf(void)
{
	int udmabuf = open_udmabuf(), plain, first, second;
	struct memory m;

	if (udmabuf < 0)
		return;
	plain = open_memfd();
	g_assert_cmpint(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), ==, 0);
	first = make_dmabuf(udmabuf, plain);
	second = make_dmabuf(udmabuf, plain);
	g_assert_cmpint(first, >=, 0);
	g_assert_cmpint(second, >=, 0);
	close(first);
	close(second);
	close(plain);

	new_memory(&m, udmabuf);
	g_assert_cmpint(m.dmabuf, >=, 0);
	g_assert_cmpint(make_dmabuf(udmabuf, m.memfd), ==, -1);
	g_assert_cmpint(errno, ==, EINVAL);
	memory_free(&m);
	close(udmabuf);
}

/* Both handles are of the same pages, also of those that were never touched by one of them. */
static void test_two_handles(void)
{
	int udmabuf = open_udmabuf(), i;
	struct memory m;
	char *map;

	if (udmabuf < 0)
		return;
	new_memory(&m, udmabuf);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.dmabuf, 0);
	g_assert_true(map != MAP_FAILED);
	for (i = 0; i < SIZE; i++)
		g_assert_cmpint(map[i], ==, 0);
	strcpy(map, "by the device");
	g_assert_cmpstr((char *)m.map, ==, "by the device");
	munmap(map, SIZE);
	memory_free(&m);
	close(udmabuf);
}

static guint descriptors(void)
{
	g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
	guint n = 0;

	while (g_dir_read_name(dir))
		n++;
	return n;
}

static void test_free(void)
{
	int udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	guint before = descriptors(), i;

	for (i = 0; i < 10; i++) {
		struct memory m;

		new_memory(&m, udmabuf);
		memory_free(&m);
		memory_free(&m);
	}
	g_assert_cmpuint(descriptors(), ==, before);
	if (udmabuf >= 0)
		close(udmabuf);
}

/* Refused before a page is taken: the kernel would take them from everybody else. */
static void test_too_much(void)
{
	static const gsize sizes[] = { 0, (gsize)MEMORY_MAX + 1, G_MAXSIZE };
	guint before = descriptors(), i;

	for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) error = NULL;
		struct memory m;

		g_assert_false(memory_new(&m, "test", sizes[i], -1, &error));
		g_assert_true(g_str_has_suffix(error->message, "is not made: it may have up to "
							       "262144 KiB"));
		g_assert_null(m.map);
		g_assert_cmpint(m.memfd, ==, -1);
		g_assert_cmpuint(descriptors(), ==, before);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/memory/write-map", test_write_map);
	g_test_add_func("/memory/resize", test_resize);
	g_test_add_func("/memory/seal", test_seal);
	g_test_add_func("/memory/second-dmabuf", test_second_dmabuf);
	g_test_add_func("/memory/two-handles", test_two_handles);
	g_test_add_func("/memory/free", test_free);
	g_test_add_func("/memory/too-much", test_too_much);
	return g_test_run();
}
