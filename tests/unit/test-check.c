// SPDX-License-Identifier: MIT
/*
 * A session's checks: each field of a frame wrong in turn, with the exact reason, and frame
 * memory that isn't sealed as it must be.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "msg.h"

#define PAGE	4096u
#define MS	UINT64_C(1000000)
#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* ---- frames ------------------------------------------------------------------------- */

struct scene {
	uint8_t slots[2 * PAGE];
	struct volet_ctl_granted grant;
	struct session_memory memory;
	struct session_rules rules;
	struct volet_frame_stamp stamp;	/* a good one, and it stands in its slot */
	uint64_t now;
};

static void set_scene(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->now = 10000 * MS;
	s->grant = (struct volet_ctl_granted){
		.session.b = { 1, 2, 3 }, .viewer = "alice", .camera = "cam0", .profile = "jpeg",
		.granted_ns = 5000 * MS, .age_limit_ms = 2000,
	};
	s->memory = (struct session_memory){
		.base = s->slots, .size = sizeof(s->slots),
		.layout = { .slots = 2, .slot_size = PAGE, .codec = VOLET_CODEC_JPEG },
	};
	s->rules = (struct session_rules){ .grant = &s->grant, .memory = &s->memory,
					   .started_ns = 6000 * MS, .last_generation = 6 };
	s->stamp = (struct volet_frame_stamp){
		.session.b = { 1, 2, 3 }, .camera = "cam0", .profile = "jpeg", .generation = 7,
		.captured_ns = 9900 * MS, .sequence = 42, .slot = 1, .length = 1000,
	};
	memcpy(s->slots + PAGE, &s->stamp, sizeof(s->stamp));
}

static void put_header(struct scene *s)
{
	memcpy(s->slots + (size_t)s->stamp.slot * PAGE, &s->stamp, sizeof(s->stamp));
}

static void assert_check(struct scene *s, enum session_verdict verdict, enum volet_reason reason,
			 const char *why)
{
	struct session_check check = session_check_frame(&s->rules, &s->stamp, s->now);

	g_assert_cmpint(check.verdict, ==, verdict);
	g_assert_cmpstr(volet_reason_text(check.reason), ==, volet_reason_text(reason));
	g_assert_cmpstr(check.why, ==, why);
}

static void assert_wrong(struct scene *s, enum volet_reason reason, const char *why)
{
	assert_check(s, SESSION_FRAME_WRONG, reason, why);
}

static void test_good(void)
{
	struct scene s;

	set_scene(&s);
	assert_check(&s, SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
}

static void test_identity(void)
{
	struct scene s;

	set_scene(&s);
	s.stamp.session.b[15] = 1;
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME, "the message carries another session's id");
	/* and when the slot says the same wrong thing */
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME, "the message carries another session's id");

	set_scene(&s);
	strcpy(s.stamp.camera, "cam1");
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME,
		     "the message carries camera cam1, granted was cam0");

	set_scene(&s);
	strcpy(s.stamp.profile, "large");
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME,
		     "the message carries profile large, granted was jpeg");

	/* the message is right, the slot is not */
	set_scene(&s);
	s.slots[PAGE + offsetof(struct volet_frame_stamp, session)] ^= 1;
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME, "the slot carries another session's id");
	set_scene(&s);
	s.slots[PAGE + offsetof(struct volet_frame_stamp, camera) + 3] = '1';
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME,
		     "the slot carries camera cam1, granted was cam0");
	/* bytes after the name are compared too: there is no second name in the field */
	set_scene(&s);
	s.stamp.camera[VOLET_NAME_MAX - 1] = 'x';
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME,
		     "the message carries camera cam0, granted was cam0");
}

static void test_generation(void)
{
	struct scene s;

	set_scene(&s);
	s.rules.last_generation = 7;
	assert_wrong(&s, VOLET_REASON_STALE_SLOT, "generation 7 after 7");
	set_scene(&s);
	s.slots[PAGE + offsetof(struct volet_frame_stamp, generation)] = 6;
	assert_wrong(&s, VOLET_REASON_STALE_SLOT, "slot 1 holds generation 6, announced was 7");
	set_scene(&s);
	s.stamp.generation = 0;
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_STALE_SLOT, "generation 0 after 6");
}

static void test_place(void)
{
	struct scene s;

	set_scene(&s);
	s.stamp.slot = 2;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame in slot 2 of 2");
	set_scene(&s);
	s.stamp.slot = 0xffffffff;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame in slot 4294967295 of 2");
	set_scene(&s);
	s.stamp.slot = 0;	/* its header is empty */
	assert_wrong(&s, VOLET_REASON_FOREIGN_FRAME, "the slot carries another session's id");
	set_scene(&s);
	s.rules.held = 2;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame in slot 1, which was not released");
	set_scene(&s);
	s.stamp.length = 0;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame of 0 bytes in a slot for 3968");
	set_scene(&s);
	s.stamp.length = PAGE - VOLET_SLOT_PAYLOAD + 1;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame of 3969 bytes in a slot for 3968");
	set_scene(&s);
	s.stamp.length = PAGE - VOLET_SLOT_PAYLOAD;
	put_header(&s);
	assert_check(&s, SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
	set_scene(&s);
	s.memory.base = NULL;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame came before its memory");
}

static void test_differs(void)
{
	static const size_t offsets[] = {
		offsetof(struct volet_frame_stamp, captured_ns),
		offsetof(struct volet_frame_stamp, sequence),
		offsetof(struct volet_frame_stamp, slot),
		offsetof(struct volet_frame_stamp, length),
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(offsets); i++) {
		struct scene s;

		set_scene(&s);
		s.slots[PAGE + offsets[i]] ^= 1;
		assert_wrong(&s, VOLET_REASON_PROTOCOL,
			     "slot 1 and its message differ in time, sequence, slot, length or flags");
	}
}

static void test_time(void)
{
	struct scene s;

	set_scene(&s);
	s.stamp.captured_ns = s.now + 1;
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame captured 1 ns from now");
	set_scene(&s);
	s.stamp.captured_ns = s.grant.granted_ns - 1;
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame captured 1 ns before the grant");
	set_scene(&s);
	s.stamp.captured_ns = s.rules.started_ns - 1;
	put_header(&s);
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame captured before START");
	set_scene(&s);
	s.rules.started_ns = 0;
	assert_wrong(&s, VOLET_REASON_PROTOCOL, "a frame captured before START");
	/* after STOP and START again, frames of the first may still be on their way */
	set_scene(&s);
	s.rules.started_ns = s.now;
	s.rules.restarted = true;
	assert_check(&s, SESSION_FRAME_LATE, VOLET_REASON_NONE, "a frame of an earlier START");
	/* the age limit, to the nanosecond */
	set_scene(&s);
	s.stamp.captured_ns = s.now - 2000 * MS;
	put_header(&s);
	assert_check(&s, SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
	s.now++;
	assert_check(&s, SESSION_FRAME_LATE, VOLET_REASON_TOO_OLD, "a frame of 2000 ms");
}

/* ---- memory ------------------------------------------------------------------------- */

static int make_memfd(off_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_cmpint(ftruncate(fd, size), ==, 0);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
	return fd;
}

static const struct volet_frame_memory two_pages = {
	.slots = 2, .slot_size = PAGE, .codec = VOLET_CODEC_JPEG, .width = 640, .height = 480,
};

static void assert_refused(const struct volet_frame_memory *layout, int fd, const char *why)
{
	struct session_memory memory = { 0 };
	char text[SESSION_WHY_MAX] = "";

	g_assert_false(session_memory_map(&memory, layout, fd, text));
	g_assert_cmpstr(text, ==, why);
	g_assert_null(memory.base);
	close(fd);
}

static void test_memory_good(void)
{
	struct session_memory memory = { 0 };
	char why[SESSION_WHY_MAX];
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *writer;

	g_assert_cmpint(ftruncate(fd, 2 * PAGE), ==, 0);
	writer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g_assert_true(writer != MAP_FAILED);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, ALL_SEALS), ==, 0);
	g_assert_true(session_memory_map(&memory, &two_pages, fd, why));
	/* what the producer writes is seen, and the session can't write it, nor anyone anew */
	writer[PAGE] = 77;
	g_assert_cmpint(session_memory_slot(&memory, 1)[0], ==, 77);
	g_assert_cmpint(mprotect((void *)memory.base, PAGE, PROT_READ | PROT_WRITE), ==, -1);
	g_assert_true(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	g_assert_cmpint(errno, ==, EPERM);
	g_assert_cmpint(ftruncate(fd, PAGE), ==, -1);
	g_assert_cmpint(ftruncate(fd, 3 * PAGE), ==, -1);
	g_assert_cmpint(write(fd, "x", 1), ==, -1);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
	session_memory_unmap(&memory);
	munmap(writer, 2 * PAGE);
	close(fd);
}

/* What the seals prevent, first seen to happen without them; then refused. */
static void test_memory_seals(void)
{
	int fd = make_memfd(2 * PAGE, F_SEAL_GROW);
	void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	g_assert_true(map != MAP_FAILED);
	munmap(map, PAGE);
	g_assert_cmpint(ftruncate(fd, PAGE), ==, 0);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), ==, 0);
	close(fd);

	assert_refused(&two_pages, make_memfd(2 * PAGE, ALL_SEALS & ~F_SEAL_SHRINK),
		       "frame memory lacks the seal SHRINK");
	assert_refused(&two_pages, make_memfd(2 * PAGE, ALL_SEALS & ~F_SEAL_GROW),
		       "frame memory lacks the seal GROW");
	assert_refused(&two_pages, make_memfd(2 * PAGE, ALL_SEALS & ~F_SEAL_FUTURE_WRITE),
		       "frame memory lacks the seal FUTURE_WRITE");
	assert_refused(&two_pages, make_memfd(2 * PAGE, ALL_SEALS & ~F_SEAL_SEAL),
		       "frame memory lacks the seal SEAL");
	assert_refused(&two_pages, make_memfd(2 * PAGE, F_SEAL_SEAL),
		       "frame memory lacks the seal SHRINK");
	assert_refused(&two_pages, open("/dev/zero", O_RDWR | O_CLOEXEC),
		       "frame memory is no memfd with seals: Invalid argument");
}

static void test_memory_size(void)
{
	struct volet_frame_memory layout = two_pages;

	assert_refused(&two_pages, make_memfd(PAGE, ALL_SEALS), "frame memory has 4096 bytes, not 8192");
	assert_refused(&two_pages, make_memfd(3 * PAGE, ALL_SEALS),
		       "frame memory has 12288 bytes, not 8192");
	layout.slots = 0;
	assert_refused(&layout, make_memfd(0, ALL_SEALS), "frame memory of 0 slots, not 1 to 16");
	layout.slots = 17;
	assert_refused(&layout, make_memfd(17 * PAGE, ALL_SEALS), "frame memory of 17 slots, not 1 to 16");
	layout = two_pages;
	layout.slot_size = 1000;
	assert_refused(&layout, make_memfd(2000, ALL_SEALS),
		       "frame memory of 1000-byte slots, not whole pages");
	layout = two_pages;
	layout.codec = 9;
	assert_refused(&layout, make_memfd(2 * PAGE, ALL_SEALS), "frame memory of unknown codec 9");
	layout = two_pages;
	layout.width = 0;
	assert_refused(&layout, make_memfd(2 * PAGE, ALL_SEALS),
		       "frame memory for impossible 0x480 pixels");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/session/frame/good", test_good);
	g_test_add_func("/session/frame/identity", test_identity);
	g_test_add_func("/session/frame/generation", test_generation);
	g_test_add_func("/session/frame/place", test_place);
	g_test_add_func("/session/frame/differs", test_differs);
	g_test_add_func("/session/frame/time", test_time);
	g_test_add_func("/session/memory/good", test_memory_good);
	g_test_add_func("/session/memory/seals", test_memory_seals);
	g_test_add_func("/session/memory/size", test_memory_size);
	return g_test_run();
}
