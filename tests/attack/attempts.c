// SPDX-License-Identifier: MIT
/*
 * What a compromised program tries. Each attempt does the plain thing, so that it works
 * wherever nothing prevents it; each is bounded, so that it is harmless there.
 */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attempts.h"
#include "protocol.h"

#define MIB (1L << 20)

typedef int attempt(struct evil *evil, long number, long *count);

static int status(long result)
{
	return result < 0 ? errno : 0;
}

static struct sockaddr_in local(long port)
{
	return (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				      .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- its memory ----------------------------------------------------------------------- */

static int map_writable(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return mmap(NULL, evil->size, PROT_READ | PROT_WRITE, MAP_SHARED, evil->memfd, 0) ==
	       MAP_FAILED ? errno : 0;
}

static int make_writable(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(mprotect(evil->map, evil->size, PROT_READ | PROT_WRITE));
}

static int write_file(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(write(evil->memfd, "evil", 4));
}

static int add_seal(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(fcntl(evil->memfd, F_ADD_SEALS, F_SEAL_SHRINK));
}

static int make_dmabuf(struct evil *evil, long number, long *count)
{
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	struct udmabuf_create create = { .memfd = (uint32_t)evil->memfd, .size = 4096 };

	(void)number;
	(void)count;
	return device < 0 ? errno : status(ioctl(device, UDMABUF_CREATE, &create));
}

static int shrink(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(ftruncate(evil->memfd, 0));
}

static int punch(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(fallocate(evil->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
}

static int remove_pages(struct evil *evil, long number, long *count)
{
	(void)number;
	(void)count;
	return status(madvise(evil->map, 4096, MADV_REMOVE));
}

/* ---- files, sockets, processes --------------------------------------------------------- */

static int open_file(struct evil *evil, long number, long *count)
{
	(void)evil;
	(void)number;
	(void)count;
	return status(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_proc(struct evil *evil, long pid, long *count)
{
	char path[64];

	(void)evil;
	(void)count;
	snprintf(path, sizeof(path), "/proc/%ld/mem", pid);
	return status(open(path, O_RDONLY | O_CLOEXEC));
}

static int run_program(struct evil *evil, long number, long *count)
{
	static char *const nothing[] = { NULL };
	static char *const arguments[] = { "/bin/true", NULL };

	(void)evil;
	(void)number;
	(void)count;
	return status(execve(arguments[0], arguments, nothing));
}

static int make_tcp(struct evil *evil, long number, long *count)
{
	(void)evil;
	(void)number;
	(void)count;
	return status(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_udp(struct evil *evil, long number, long *count)
{
	(void)evil;
	(void)number;
	(void)count;
	return status(socket(AF_INET, SOCK_DGRAM, 0));
}

static int bind_viewer(struct evil *evil, long port, long *count)
{
	struct sockaddr_in to = local(port);

	(void)count;
	return status(bind(evil->viewer, (struct sockaddr *)&to, sizeof(to)));
}

static int connect_elsewhere(struct evil *evil, long port, long *count)
{
	struct sockaddr_in to = local(port);
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	(void)count;
	if (connect(evil->viewer, &nowhere, sizeof(nowhere)) < 0)
		return errno;
	fcntl(evil->viewer, F_SETFL, 0);
	return status(connect(evil->viewer, (struct sockaddr *)&to, sizeof(to)));
}

static int send_elsewhere(struct evil *evil, long port, long *count)
{
	struct sockaddr_in to = local(port);

	(void)count;
	return status(sendto(evil->viewer, "stolen", 6, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (struct sockaddr *)&to, sizeof(to)));
}

/*
 * sendmsg() with MSG_FASTOPEN connects a socket without connect(): once voletd has cut the
 * viewer's off, in the moment before the kill, it can be anybody's.
 */
static int fast_open(struct evil *evil, long port, long *count)
{
	struct volet_ctl leave = { .type = VOLET_CTL_LEAVE, .end.reason = VOLET_REASON_CLIENT_GONE };
	struct sockaddr_in to = local(port);
	struct iovec iov = { .iov_base = "stolen", .iov_len = 6 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &to,
			     .msg_namelen = sizeof(to) };
	int64_t end = now_ms() + 5000;

	if (send(evil->control, &leave, sizeof(leave), MSG_NOSIGNAL) < 0)
		return errno;
	while (now_ms() < end) {
		if (sendmsg(evil->viewer, &mh, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
		    errno == EINPROGRESS || errno == EALREADY)
			*count += send(evil->viewer, "stolen", 6, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	}
	return *count ? 0 : ETIMEDOUT;
}

static int trace(struct evil *evil, long pid, long *count)
{
	(void)evil;
	(void)count;
	return status(ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL));
}

static int signal_other(struct evil *evil, long pid, long *count)
{
	(void)evil;
	(void)count;
	return status(kill((pid_t)pid, SIGCONT));
}

static int read_other(struct evil *evil, long pid, long *count)
{
	char here[16];
	struct iovec mine = { here, sizeof(here) }, theirs = { evil, sizeof(here) };
	long got = process_vm_readv((pid_t)pid, &mine, 1, &theirs, 1, 0);

	(void)count;
	/* Whether there is anything at that address is not the question. */
	return got < 0 && errno != EFAULT ? errno : 0;
}

/* ---- too much of everything -------------------------------------------------------------- */

static int fork_many(struct evil *evil, long number, long *count)
{
	pid_t pids[256];
	int error = 0;
	long i;

	(void)evil;
	for (*count = 0; *count < number && *count < 256; ++*count) {
		pids[*count] = fork();
		if (pids[*count] == 0)
			for (;;)
				pause();
		if (pids[*count] < 0) {
			error = errno;
			break;
		}
	}
	for (i = 0; i < *count; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return error;
}

static void *spin(void *end)
{
	while (now_ms() < *(int64_t *)end)
		;
	return NULL;
}

/* As many busy threads as it gets, for `number` seconds. */
static int burn(struct evil *evil, long number, long *count)
{
	int64_t end = now_ms() + number * 1000;
	pthread_t threads[200];
	long i;

	(void)evil;
	for (*count = 0; *count < 200; ++*count) {
		if (pthread_create(&threads[*count], NULL, spin, &end))
			break;
	}
	for (i = 0; i < *count; i++)
		pthread_join(threads[i], NULL);
	return *count < 200 ? 0 : ERANGE;
}

/* Touch memory of this kind, in steps, up to `number` MiB; says how much it got. */
static int take(long number, int flags, long *count)
{
	char *pieces[64];
	long step = number / 32, i, at, n;

	for (n = 0; n < 32; n++) {
		pieces[n] = mmap(NULL, (size_t)(step * MIB), PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | flags, -1, 0);
		if (pieces[n] == MAP_FAILED)
			break;
		for (at = 0; at < step * MIB; at += 4096)
			pieces[n][at] = 1;
	}
	*count = n * step;
	for (i = 0; i < n; i++)
		munmap(pieces[i], (size_t)(step * MIB));
	return n < 32 ? ENOMEM : 0;
}

static int take_private(struct evil *evil, long number, long *count)
{
	(void)evil;
	return take(number, MAP_PRIVATE, count);
}

static int take_shared(struct evil *evil, long number, long *count)
{
	(void)evil;
	return take(number, MAP_SHARED, count);
}

static int take_stack(struct evil *evil, long number, long *count)
{
	(void)evil;
	return take(number, MAP_PRIVATE | MAP_GROWSDOWN, count);
}

static int flood(int sock, const void *msg, size_t size, long number, long *count)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = size };
	const struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int64_t end = now_ms() + number * 1000;

	while (now_ms() < end) {
		if (sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			++*count;
		else if (errno != EAGAIN)
			return errno;
	}
	return 0;
}

static int flood_control(struct evil *evil, long number, long *count)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_SENT };

	return flood(evil->control, &msg, sizeof(msg), number, count);
}

static int flood_frames(struct evil *evil, long number, long *count)
{
	const struct volet_frame msg = { .type = VOLET_FRAME_START };

	return flood(evil->frames, &msg, sizeof(msg), number, count);
}

static const struct {
	const char *name;
	attempt *attempt;
} attempts[] = {
	{ "map-writable", map_writable }, { "mprotect", make_writable }, { "write", write_file },
	{ "seal", add_seal }, { "udmabuf", make_dmabuf }, { "truncate", shrink },
	{ "punch", punch }, { "remove", remove_pages },
	{ "open", open_file }, { "proc-mem", open_proc },
	{ "exec", run_program },
	{ "tcp", make_tcp }, { "udp", make_udp }, { "bind", bind_viewer },
	{ "connect", connect_elsewhere }, { "sendto", send_elsewhere }, { "fastopen", fast_open },
	{ "ptrace", trace }, { "kill", signal_other }, { "vm-read", read_other },
	{ "fork", fork_many }, { "burn", burn }, { "memory", take_private },
	{ "shared-memory", take_shared }, { "stack-memory", take_stack },
	{ "steal-fd", attempt_steal }, { "socketpair", attempt_pair }, { "create", attempt_create },
	{ "device", attempt_zero }, { "memfds", attempt_memfds },
	{ "mapped-memfds", attempt_mapped_memfds }, { "large-memfd", attempt_large_memfd },
	{ "flood-bus", attempt_flood_bus }, { "flood-control", flood_control }, { "flood-frames", flood_frames },
};

int evil_try(struct evil *evil, const char *name, long number, long *count)
{
	size_t i;

	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		if (!strcmp(attempts[i].name, name))
			return attempts[i].attempt(evil, number, count);
	}
	return ENOSYS;
}
