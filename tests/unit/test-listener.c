// SPDX-License-Identifier: MIT
/* The RTSP port itself: who is let in, how a connection is prepared, how one is refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static unsigned int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);

	g_assert_no_errno(bind(fd, (struct sockaddr *)&at, sizeof(at)));
	g_assert_no_errno(getsockname(fd, (struct sockaddr *)&at, &size));
	close(fd);
	return ntohs(at.sin_port);
}

static struct bench *listening(void)
{
	struct bench *bench = bench_new();
	g_autoptr(GError) error = NULL;

	bench->config->rtsp_port = free_port();
	bench->config->max_unauthenticated_per_source = 2;
	g_assert_true(listener_open(bench->daemon, &error));
	g_assert_no_error(error);
	return bench;
}

static int dial(struct bench *bench, const char *from)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in here = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_port = htons((uint16_t)bench->config->rtsp_port);
	inet_pton(AF_INET, from, &here.sin_addr);
	g_assert_no_errno(bind(fd, (struct sockaddr *)&here, sizeof(here)));
	g_assert_no_errno(connect(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

static bool is_reset(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == ECONNRESET;
}

static void test_let_in(void)
{
	struct bench *bench = listening();
	int fd[3], fds[3][MSG_FDS_MAX], none[MSG_FDS_MAX], value = 0;
	socklen_t size = sizeof(value);
	struct volet_spawn msg;
	unsigned int i;

	fd[0] = dial(bench, "127.0.0.1");
	msg = bench_spawn(bench, fds[0]);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_START);
	g_assert_cmpuint(msg.program, ==, VOLET_PROGRAM_RTSP);
	/* What the program gets is that connection, with little room for what can't be taken back. */
	g_assert_no_errno(getsockopt(fds[0][1], SOL_SOCKET, SO_SNDBUF, &value, &size));
	g_assert_cmpint(value, <=, 128 * 1024);
	g_assert_no_errno(getsockopt(fds[0][1], IPPROTO_TCP, TCP_NODELAY, &value, &size));
	g_assert_cmpint(value, ==, 1);
	g_assert_no_errno(getsockopt(fds[0][1], IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size));
	g_assert_cmpint(value, ==, 10000);
	g_assert_cmpint(send(fds[0][1], "!", 1, 0), ==, 1);
	g_assert_cmpint(recv(fd[0], &value, 1, 0), ==, 1);
	/* A second from there has a place, a third has none, one from elsewhere has. */
	fd[1] = dial(bench, "127.0.0.1");
	g_assert_cmpuint(bench_spawn(bench, fds[1]).type, ==, VOLET_SPAWN_START);
	fd[2] = dial(bench, "127.0.0.1");
	g_assert_cmpuint(bench_spawn(bench, none).type, ==, 0);
	g_assert_true(is_reset(fd[2]));
	close(fd[2]);
	fd[2] = dial(bench, "127.0.0.2");
	g_assert_cmpuint(bench_spawn(bench, fds[2]).type, ==, VOLET_SPAWN_START);
	for (i = 0; i < 3; i++) {
		msg_close_fds(fds[i]);
		close(fd[i]);
	}
	bench_free(bench);
}

/* Without a descriptor left the port waits, without a busy loop, and then goes on. */
static void test_no_descriptors(void)
{
	struct bench *bench = listening();
	struct rlimit old, few;
	int fd = dial(bench, "127.0.0.1"), lowest = dup(0), fds[MSG_FDS_MAX];
	int64_t since = daemon_now_ns();
	struct volet_spawn msg;

	close(lowest);
	g_assert_no_errno(getrlimit(RLIMIT_NOFILE, &old));
	few = old;
	few.rlim_cur = (rlim_t)lowest;
	g_assert_no_errno(setrlimit(RLIMIT_NOFILE, &few));
	bench_settle();
	g_assert_cmpuint(bench->daemon->listeners[LISTENER_RTSP].watch, ==, 0);
	g_assert_cmpuint(bench->daemon->listeners[LISTENER_RTSP].pause, !=, 0);
	g_assert_no_errno(setrlimit(RLIMIT_NOFILE, &old));
	do {
		g_usleep(20 * 1000);
		msg = bench_spawn(bench, fds);
	} while (!msg.type && daemon_now_ns() - since < 20 * 1000000000LL);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_START);
	g_assert_cmpint(daemon_now_ns() - since, >=, 1000000000LL);
	msg_close_fds(fds);
	close(fd);
	bench_free(bench);
}

static void test_port_taken(void)
{
	struct bench *bench = listening(), *other = bench_new();
	g_autoptr(GError) error = NULL;

	other->config->rtsp_port = bench->config->rtsp_port;
	g_assert_false(listener_open(other->daemon, &error));
	g_assert_nonnull(strstr(error->message, "rtsp-port"));
	g_assert_nonnull(strstr(error->message, "choose another"));
	g_clear_error(&error);
	g_free(other->config->rtsp_address);
	other->config->rtsp_address = g_strdup("192.0.2.1");
	g_assert_false(listener_open(other->daemon, &error));
	g_assert_nonnull(strstr(error->message, "of this machine"));
	bench_free(other);
	bench_free(bench);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/listener/let-in", test_let_in);
	g_test_add_func("/listener/no-descriptors", test_no_descriptors);
	g_test_add_func("/listener/port-taken", test_port_taken);
	return g_test_run();
}
