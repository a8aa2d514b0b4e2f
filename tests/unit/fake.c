// SPDX-License-Identifier: MIT
/* A voletd and a camera for tests; see fake.h. */
#include "fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <turbojpeg.h>
#include <unistd.h>

#include "encode.h"
#include "msg.h"

#define SLOTS		4
#define WIDTH		640
#define HEIGHT		480

struct fake {
	struct fake_config config;
	int listener;
	unsigned int port, n;
};

struct fake_session {
	struct fake_config config;
	GThread *thread;
	pid_t pid;
	int control, frames, log;
	char nonce[VOLET_NONCE_MAX];
	struct volet_ctl_granted grant;
	uint8_t *memory;
	size_t slot_size;
	uint64_t generation, held[SLOTS], sequence;
	bool running, stale_done;
	gint64 next_us;
	struct encode *encode;		/* with config.h264 */
	struct fake_result result;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* ---- frames ------------------------------------------------------------------------- */

/* A real picture: bars that move with the sequence number. */
static size_t draw_picture(uint8_t *out, size_t size, uint64_t sequence)
{
	static _Thread_local uint8_t pixels[WIDTH * HEIGHT * 3];
	unsigned long n = size;
	unsigned char *jpeg = out;
	tjhandle tj = tjInitCompress();
	size_t i;

	for (i = 0; i < WIDTH * HEIGHT; i++) {
		uint8_t bar = (uint8_t)(((i % WIDTH + sequence * 8) / 80 % 8) * 32);

		memcpy(pixels + 3 * i, (uint8_t[]){ bar, (uint8_t)(255 - bar), 128 }, 3);
	}
	if (tjCompress2(tj, pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &jpeg, &n, TJSAMP_420, 75,
			TJFLAG_NOREALLOC) < 0)
		g_error("tjCompress2: %s", tjGetErrorStr2(tj));
	tjDestroy(tj);
	return n;
}

/* JPEG enough for the payloader, with a scan that says what it is in clear. */
static size_t draw_scan(uint8_t *out, unsigned int bytes, const struct volet_frame_stamp *stamp)
{
	static const uint8_t head[] = { 0xff, 0xd8, 0xff, 0xdb, 0, 67, 0 };
	static const uint8_t tail[] = {
		0xff, 0xc0, 0, 17, 8, HEIGHT >> 8, HEIGHT & 255, WIDTH >> 8, WIDTH & 255,
		3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11,
		0, 63, 0
	};
	struct fake_scan scan = { .sequence = stamp->sequence, .captured_ns = stamp->captured_ns };
	uint8_t *p = out;

	memcpy(scan.magic, "VOLETSCN", 8);
	g_strlcpy(scan.camera, stamp->camera, sizeof(scan.camera));
	p = memcpy(p, head, sizeof(head)), p += sizeof(head);
	p = memset(p, 16, 64), p += 64;
	p = memcpy(p, tail, sizeof(tail)), p += sizeof(tail);
	memset(p, (int)(stamp->sequence & 0x7f), bytes);
	memcpy(p, &scan, sizeof(scan));
	return (size_t)(p - out) + bytes;
}

static const struct volet_profile_config video = {
	.name = "jpeg", .codec = VOLET_CODEC_H264, .width = WIDTH, .height = HEIGHT,
	.bitrate_kbit = 1000,
};

/* The same picture, as it is now, and the flags that go with it. */
static size_t draw_h264(struct fake_session *s, uint8_t *out, struct volet_frame_stamp *stamp)
{
	g_autofree uint8_t *pic = g_malloc(WIDTH * HEIGHT * 3 / 2);
	const struct raw_picture picture = {
		.y = pic, .uv = pic + WIDTH * HEIGHT, .stride = WIDTH,
		.captured_ns = stamp->captured_ns, .dmabuf = -1,
	};
	g_autoptr(GError) error = NULL;
	const uint8_t *data;
	gboolean key;
	gsize n;
	size_t i;

	for (i = 0; i < WIDTH * HEIGHT; i++)
		pic[i] = (uint8_t)(((i % WIDTH + stamp->sequence * 8) / 80 % 8) * 32);
	memset(pic + WIDTH * HEIGHT, 128, WIDTH * HEIGHT / 2);
	if (!encode_picture(s->encode, &picture, &key, &data, &n, &error))
		g_error("%s", error->message);
	memcpy(out, data, n);
	stamp->flags = key ? VOLET_STAMP_KEY : 0;
	return n;
}

static void stamp_fault(const struct fake_session *s, struct volet_frame_stamp *stamp)
{
	switch (s->config.fault) {
	case FAKE_FOREIGN_SESSION:
		stamp->session.b[0] ^= 1;
		break;
	case FAKE_FOREIGN_CAMERA:
		strcpy(stamp->camera, "cam1");
		break;
	case FAKE_BEFORE_START:
		stamp->captured_ns = s->grant.granted_ns + 1;
		break;
	case FAKE_OLD:
		stamp->captured_ns -= (s->config.age_limit_ms + 50) * UINT64_C(1000000);
		break;
	default:
		break;
	}
}

static void produce(struct fake_session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_READY };
	struct volet_frame_stamp *stamp = &msg.ready, header;
	unsigned int slot = 0;
	uint8_t *base;

	while (slot < SLOTS && s->held[slot])
		slot++;
	/* old frames are captured after START all the same */
	if (slot == SLOTS || (s->config.fault == FAKE_OLD && now_ns() - s->result.started_ns <
			      (s->config.age_limit_ms + 100) * UINT64_C(1000000)))
		return;
	base = s->memory + slot * s->slot_size;
	stamp->session = s->grant.session;
	strcpy(stamp->camera, "cam0");
	strcpy(stamp->profile, "jpeg");
	stamp->flags = VOLET_STAMP_KEY;
	stamp->generation = s->config.fault == FAKE_STALE && s->generation > 2 ? s->generation :
			    ++s->generation;
	stamp->captured_ns = now_ns();
	stamp->sequence = s->sequence++;
	stamp->slot = slot;
	stamp_fault(s, stamp);
	if (s->config.h264)
		stamp->length = (uint32_t)draw_h264(s, base + VOLET_SLOT_PAYLOAD, stamp);
	else if (s->config.frame_bytes)
		stamp->length = (uint32_t)draw_scan(base + VOLET_SLOT_PAYLOAD, s->config.frame_bytes, stamp);
	else
		stamp->length = (uint32_t)draw_picture(base + VOLET_SLOT_PAYLOAD,
						       s->slot_size - VOLET_SLOT_PAYLOAD, stamp->sequence);
	header = *stamp;
	if (s->config.fault == FAKE_FOREIGN_SLOT)
		strcpy(header.camera, "cam1");
	memcpy(base, &header, sizeof(header));
	s->held[slot] = stamp->generation;
	s->result.announced++;
	(void)msg_send(s->frames, &msg, sizeof(msg), NULL, 0);
}

/* A test may wait for it meanwhile. */
static void count(unsigned int *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELEASE);
}

static void hang_up_frames(struct fake_session *s)
{
	if (s->frames >= 0)
		close(s->frames);
	s->frames = -1;
	s->running = false;
}

static void frames_message(struct fake_session *s)
{
	struct volet_frame msg;
	int fds[MSG_FDS_MAX];
	unsigned int n;

	if (msg_recv(s->frames, &msg, sizeof(msg), fds, &n) < 0) {
		hang_up_frames(s);
	} else if (msg.type == VOLET_FRAME_START) {
		s->result.started_ns = now_ns();
		count(&s->result.starts);
		s->running = s->config.fault != FAKE_NO_FRAMES;
		s->next_us = g_get_monotonic_time() + 1000;
	} else if (msg.type == VOLET_FRAME_STOP) {
		count(&s->result.stops);
		s->running = false;
	} else if (msg.type == VOLET_FRAME_NEED_KEY) {
		s->result.need_keys++;
	} else if (msg.type == VOLET_FRAME_RELEASE) {
		g_assert_cmpuint(msg.release.slot, <, SLOTS);
		g_assert_cmpuint(msg.release.generation, ==, s->held[msg.release.slot]);
		s->held[msg.release.slot] = 0;
	}
}

/* ---- control ------------------------------------------------------------------------ */

static void give_memory(struct fake_session *s)
{
	struct volet_frame msg = { .type = VOLET_FRAME_MEMORY };
	bool is_short = s->config.fault == FAKE_SHORT_MEMORY;
	int fd = memfd_create("frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	size_t size;

	s->slot_size = (s->config.frame_bytes + (1u << 19)) & ~4095u;
	size = s->slot_size * SLOTS;
	g_assert_cmpint(ftruncate(fd, (off_t)(size - (is_short ? 4096 : 0))), ==, 0);
	s->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g_assert_true(s->memory != MAP_FAILED);
	if (s->config.fault != FAKE_UNSEALED_MEMORY)
		seals |= F_SEAL_FUTURE_WRITE;
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
	msg.memory = (struct volet_frame_memory){
		.session = s->grant.session, .camera = "cam0", .profile = "jpeg", .slots = SLOTS,
		.slot_size = (uint32_t)s->slot_size, .codec = VOLET_CODEC_JPEG,
		.width = WIDTH, .height = HEIGHT,
	};
	if (s->config.h264) {
		s->encode = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
		g_assert_nonnull(s->encode);
		msg.memory.codec = VOLET_CODEC_H264;
		msg.memory.n_parameters = encode_parameters(s->encode, msg.memory.parameters);
	}
	(void)msg_send(s->frames, &msg, sizeof(msg), &fd, 1);
	close(fd);
}

static void grant(struct fake_session *s, const struct volet_ctl_auth *auth)
{
	struct volet_ctl msg = { .type = VOLET_CTL_GRANTED };
	int pair[2];
	size_t i;

	for (i = 0; i < sizeof(msg.granted.session.b); i++)
		msg.granted.session.b[i] = (uint8_t)g_random_int_range(0, 256);
	memcpy(msg.granted.viewer, auth->viewer, sizeof(msg.granted.viewer));
	memcpy(msg.granted.camera, auth->camera, sizeof(msg.granted.camera));
	strcpy(msg.granted.profile, "jpeg");
	msg.granted.granted_ns = now_ns();
	msg.granted.age_limit_ms = s->config.age_limit_ms;
	s->grant = msg.granted;
	g_assert_cmpint(msg_pair(pair), ==, 0);
	s->frames = pair[0];
	(void)msg_send(s->control, &msg, sizeof(msg), &pair[1], 1);
	close(pair[1]);
	give_memory(s);
	s->result.granted = true;
}

static bool response_right(struct fake_session *s, const struct volet_ctl_auth *auth)
{
	g_autofree char *a1 = g_strdup_printf("alice:" VOLET_REALM ":%s", s->config.password);
	g_autofree char *ha1 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a1, -1);
	g_autofree char *a2 = g_strdup_printf("%s:%s", auth->method, auth->uri);
	g_autofree char *ha2 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a2, -1);
	g_autofree char *all = g_strdup_printf("%s:%s:%s", ha1, auth->nonce, ha2);
	g_autofree char *right = g_compute_checksum_for_string(G_CHECKSUM_MD5, all, -1);

	return strcmp(auth->viewer, "alice") == 0 && strcmp(auth->nonce, s->nonce) == 0 &&
	       strcmp(auth->response, right) == 0;
}

static void answer_auth(struct fake_session *s, const struct volet_ctl_auth *auth)
{
	struct volet_ctl msg = { .type = VOLET_CTL_DENIED };

	s->result.auths++;
	msg.denied.tries_left = s->result.auths < 3 ? 3 - s->result.auths : 0;
	if (!response_right(s, auth)) {
		msg.denied.why = VOLET_DENIED_CREDENTIALS;
	} else if (s->config.stale_first && !s->stale_done) {
		msg.denied.why = VOLET_DENIED_STALE;
		s->stale_done = true;
	} else if (strcmp(auth->camera, "down") == 0) {
		msg.denied.why = VOLET_DENIED_CAMERA_DOWN;
	} else if (strcmp(auth->camera, "full") == 0) {
		msg.denied.why = VOLET_DENIED_LIMIT;
	} else if (strcmp(auth->camera, "cam0") != 0) {
		msg.denied.why = VOLET_DENIED_NO_CAMERA;
	} else {
		grant(s, auth);
		return;
	}
	(void)msg_send(s->control, &msg, sizeof(msg), NULL, 0);
}

static bool control_message(struct fake_session *s)
{
	const struct volet_ctl no_udp = { .type = VOLET_CTL_DENIED,
					  .denied.why = VOLET_DENIED_TRANSPORT };
	struct volet_ctl msg, nonce = { .type = VOLET_CTL_NONCE };
	int fds[MSG_FDS_MAX];
	unsigned int n;

	if (msg_recv(s->control, &msg, sizeof(msg), fds, &n) < 0)
		return false;
	switch (msg.type) {
	case VOLET_CTL_GET_NONCE:
		count(&s->result.nonces);
		if (s->config.fault == FAKE_NO_NONCE)
			break;
		g_snprintf(s->nonce, sizeof(s->nonce), "%08x%08x", g_random_int(), g_random_int());
		strcpy(nonce.nonce.nonce, s->nonce);
		(void)msg_send(s->control, &nonce, sizeof(nonce), NULL, 0);
		break;
	case VOLET_CTL_AUTH:
		answer_auth(s, &msg.auth);
		break;
	case VOLET_CTL_UDP:
		g_assert_cmpuint(msg.udp.client_port, >=, 1024);
		(void)msg_send(s->control, &no_udp, sizeof(no_udp), NULL, 0);
		break;
	case VOLET_CTL_SENT:
		s->result.sent = msg.sent;
		break;
	case VOLET_CTL_LEAVE:
		s->result.reason = msg.end.reason;
		count(&s->result.leaves);
		break;
	default:
		g_error("fake: control message %u", msg.type);
	}
	return true;
}

static void time_faults(struct fake_session *s)
{
	struct volet_ctl end = { .type = VOLET_CTL_END, .end.reason = VOLET_REASON_OWNER };

	if (!s->result.starts || now_ns() - s->result.started_ns < 300000000)
		return;
	if (s->config.fault == FAKE_END)
		(void)msg_send(s->control, &end, sizeof(end), NULL, 0), s->config.fault = FAKE_GOOD;
	else if (s->config.fault == FAKE_CAMERA_HANGUP)
		hang_up_frames(s);
}

static gpointer serve(gpointer data)
{
	struct fake_session *s = data;
	bool alive = true;

	while (alive) {
		struct pollfd p[2] = { { s->control, POLLIN, 0 }, { s->frames, POLLIN, 0 } };
		gint64 now;

		poll(p, 2, 5);
		if (p[1].revents && s->frames >= 0)
			frames_message(s);
		if (p[0].revents)
			alive = control_message(s);
		now = g_get_monotonic_time();
		if (s->running && now >= s->next_us) {
			produce(s);
			s->next_us += G_USEC_PER_SEC / s->config.fps;
			s->next_us = MAX(s->next_us, now);
		}
		time_faults(s);
	}
	s->result.ended_us = g_get_monotonic_time();
	waitpid(s->pid, &s->result.status, 0);
	return NULL;
}

/* ---- the whole ---------------------------------------------------------------------- */

static void run_program(const char *program, int control, int socket, int log, uid_t uid)
{
	int null = open("/dev/null", O_RDWR);
	int fds[5] = { null, null, log, control, socket };
	int i;

	/* Out of each other's way, then to where they belong. */
	for (i = 0; i < 5; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 20);
	for (i = 0; i < 5; i++)
		dup2(fds[i], i);
	close_range(5, ~0u, 0);
	if (getuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
			      setresuid(uid, uid, uid) < 0))
		_exit(126);
	execle(program, program, NULL, (char *[]){ NULL });
	_exit(127);
}

struct fake_session *fake_accept(struct fake *fake)
{
	struct fake_session *s = g_new0(struct fake_session, 1);
	struct pollfd listener = { fake->listener, POLLIN, 0 };
	int socket = poll(&listener, 1, 60000) <= 0 ? -1 : accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
	int pair[2];

	if (socket < 0)
		g_error("fake: no client came");
	if (fake->config.front)
		socket = fake->config.front(fake->config.front_data, socket);
	s->config = fake->config;
	s->frames = -1;
	s->result.reason = VOLET_REASON_COUNT;
	s->log = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	g_assert_cmpint(msg_pair(pair), ==, 0);
	s->control = pair[0];
	s->pid = fork();
	if (s->pid == 0)
		run_program(fake->config.program, pair[1], socket, s->log, 61000 + fake->n % 1000);
	fake->n++;
	close(pair[1]);
	close(socket);
	s->thread = g_thread_new("fake", serve, s);
	return s;
}

GPid fake_pid(const struct fake_session *s)
{
	return s->pid;
}

void fake_await(const unsigned int *counter, unsigned int n)
{
	gint64 end = g_get_monotonic_time() + 15 * G_USEC_PER_SEC;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < n && g_get_monotonic_time() < end)
		g_usleep(5000);
	g_assert_cmpuint(__atomic_load_n(counter, __ATOMIC_ACQUIRE), >=, n);
}

const struct fake_result *fake_so_far(const struct fake_session *s)
{
	return &s->result;
}

struct fake_result fake_wait(struct fake_session *s)
{
	struct fake_result result;
	char log[8192];
	ssize_t n;

	g_thread_join(s->thread);
	result = s->result;
	n = pread(s->log, log, sizeof(log) - 1, 0);
	result.log = g_strndup(log, n > 0 ? (gsize)n : 0);
	if (s->memory)
		munmap(s->memory, s->slot_size * SLOTS);
	encode_free(s->encode);
	hang_up_frames(s);
	close(s->control);
	close(s->log);
	g_free(s);
	return result;
}

struct fake *fake_new(const struct fake_config *config)
{
	struct fake *fake = g_new0(struct fake, 1);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);

	fake->config = *config;
	if (!fake->config.password)
		fake->config.password = "right";
	if (!fake->config.fps)
		fake->config.fps = 20;
	/* Whoever is slow on a busy machine is not what is tested. */
	if (!fake->config.age_limit_ms)
		fake->config.age_limit_ms = 15000;
	fake->n = (unsigned int)g_random_int_range(0, 1000);
	fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(fake->listener, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	g_assert_cmpint(listen(fake->listener, 16), ==, 0);
	g_assert_cmpint(getsockname(fake->listener, (struct sockaddr *)&addr, &size), ==, 0);
	fake->port = ntohs(addr.sin_port);
	return fake;
}

unsigned int fake_port(const struct fake *fake)
{
	return fake->port;
}

void fake_free(struct fake *fake)
{
	close(fake->listener);
	g_free(fake);
}
