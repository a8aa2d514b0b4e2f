// SPDX-License-Identifier: MIT
/*
 * RTP over UDP can go to one viewer and to nobody else. First that a connected UDP socket alone
 * is no wall, not even in a session program's sandbox; then volet-udp's filter; then volet-udp
 * itself, with this test as voletd, session program and viewer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "msg.h"

#define WAIT_MS		10000
#define SECOND		G_GUINT64_CONSTANT(1000000000)

static uint64_t now_ns(void)
{
	return (uint64_t)g_get_monotonic_time() * 1000;
}

/* ---- sockets ---------------------------------------------------------------------------- */

static int bound(int family, struct sockaddr_storage *at)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(*at);

	memset(at, 0, sizeof(*at));
	at->ss_family = (sa_family_t)family;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)at)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	g_assert_no_errno(bind(fd, (struct sockaddr *)at, size));
	g_assert_no_errno(getsockname(fd, (struct sockaddr *)at, &size));
	return fd;
}

static bool comes(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) > 0;
}

/* A viewer's socket, and a server's that is connected to it. */
struct wire {
	int viewer, server;
	struct sockaddr_storage viewer_at, server_at;
};

static struct wire wire_new(int family)
{
	struct wire w;

	w.viewer = bound(family, &w.viewer_at);
	w.server = bound(family, &w.server_at);
	g_assert_no_errno(connect(w.server, (struct sockaddr *)&w.viewer_at, sizeof(w.viewer_at)));
	return w;
}

static void wire_free(struct wire *w)
{
	close(w->viewer);
	close(w->server);
}

/* ---- what a compromised program could try ------------------------------------------------- */

static struct wire line;		/* to the viewer */
static int stranger, out;		/* to nobody's knowledge */
static struct sockaddr_storage stranger_at;

static int try_sendto(void)
{
	return sendto(out, "x", 1, 0, (struct sockaddr *)&stranger_at, sizeof(stranger_at)) < 0;
}

static int try_sendmsg(void)
{
	struct iovec iov = { .iov_base = (void *)"x", .iov_len = 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &stranger_at,
			     .msg_namelen = sizeof(stranger_at) };

	return sendmsg(out, &mh, 0) < 0;
}

static int try_sendmmsg(void)
{
	struct iovec iov = { .iov_base = (void *)"x", .iov_len = 1 };
	struct mmsghdr mh = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &stranger_at,
					   .msg_namelen = sizeof(stranger_at) } };

	return sendmmsg(out, &mh, 1, 0) < 0;
}

static int try_connect(void)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	return connect(out, &nowhere, sizeof(nowhere)) < 0 ||
	       connect(out, (struct sockaddr *)&stranger_at, sizeof(stranger_at)) < 0 ||
	       send(out, "x", 1, 0) < 0;
}

static int try_new(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return sendto(fd, "x", 1, 0, (struct sockaddr *)&stranger_at, sizeof(stranger_at)) < 0;
}

/* Source routing would lead a datagram elsewhere, and these go by an option, or by sendmsg(). */
static int try_options(void)
{
	return setsockopt(out, IPPROTO_IP, IP_OPTIONS, "\1", 1) < 0 ||
	       sendto(out, "x", 1, 0, (struct sockaddr *)&stranger_at, sizeof(stranger_at)) < 0;
}

static const struct {
	const char *name;
	int (*call)(void);
	bool session_can;	/* in a session program's sandbox: so it gets no UDP socket */
} attempts[] = {
	{ "sendto", try_sendto, false }, { "sendmsg", try_sendmsg, true },
	{ "sendmmsg", try_sendmmsg, false }, { "connect", try_connect, false },
	{ "socket", try_new, false }, { "setsockopt", try_options, false },
};

static int send_to_peer(void)
{
	return send(out, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1;
}

enum mode { OPEN, SESSION, RELAY };

static int run(int (*call)(void), enum mode mode)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		char why[SANDBOX_WHY_MAX];

		if (getuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(61999, 61999, 61999) < 0 ||
				      setresuid(61999, 61999, 61999) < 0))
			_exit(99);
		if ((mode == SESSION && !sandbox_apply(why)) ||
		    (mode == RELAY && (!sandbox_privileges(why) || !sandbox_landlock(why) ||
				       !filter_load(why))))
			_exit(98);
		_exit(call() ? 1 : 0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return status;
}

static bool killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* Whether something reached the stranger; the sockets are new ones each time. */
static bool reaches(int (*call)(void), enum mode mode, int *status)
{
	char byte;
	bool came;

	line = wire_new(AF_INET);
	out = line.server;
	*status = run(call, mode);
	came = recv(stranger, &byte, 1, MSG_DONTWAIT) == 1;
	wire_free(&line);
	return came;
}

static void test_elsewhere(gconstpointer data)
{
	size_t i = GPOINTER_TO_SIZE(data);
	int status;

	stranger = bound(AF_INET, &stranger_at);
	/* Connected or not: it goes to whom it is told. */
	g_assert_true(reaches(attempts[i].call, OPEN, &status));
	g_assert_cmpint(status, ==, 0);
	g_assert_true(reaches(attempts[i].call, SESSION, &status) == attempts[i].session_can);
	g_assert_true(attempts[i].session_can ? status == 0 : killed(status));
	g_assert_false(reaches(attempts[i].call, RELAY, &status));
	g_assert_true(killed(status));
	close(stranger);
}

static void test_peer(void)
{
	char byte;

	line = wire_new(AF_INET);
	out = line.server;
	g_assert_cmpint(run(send_to_peer, RELAY), ==, 0);
	g_assert_true(comes(line.viewer, WAIT_MS));
	g_assert_cmpint(recv(line.viewer, &byte, 1, 0), ==, 1);
	wire_free(&line);
}

/* ---- the program -------------------------------------------------------------------------- */

struct relay {
	struct wire rtp, rtcp;
	int control, packets;	/* voletd's end, the session program's */
	pid_t pid;
};

static const char *the_program(void)
{
	return g_getenv("VOLET_UDP") ? g_getenv("VOLET_UDP") : "/usr/libexec/volet/volet-udp";
}

static void run_program(int control, int packets)
{
	const char *program = the_program();
	int null = open("/dev/null", O_RDWR);
	int fds[5] = { null, null, 2, control, packets }, i;

	for (i = 0; i < 5; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 20);
	for (i = 0; i < 5; i++)
		dup2(fds[i], i);
	close_range(5, ~0u, 0);
	if (getuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(61998, 61998, 61998) < 0 ||
			      setresuid(61998, 61998, 61998) < 0))
		_exit(126);
	execle(program, program, NULL, (char *[]){ NULL });
	_exit(127);
}

static struct volet_udp hear(const struct relay *r, int ms)
{
	struct volet_udp msg = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	if (msg_recv_wait(r->control, &msg, sizeof(msg), fds, &n_fds, ms) < 0)
		msg.type = 0;
	return msg;
}

static struct relay relay_new(int family)
{
	const struct volet_udp start = { .type = VOLET_UDP_START };
	struct relay r = { .rtp = wire_new(family), .rtcp = wire_new(family) };
	int control[2], packets[2];

	g_assert_cmpint(msg_pair(control), ==, 0);
	g_assert_cmpint(msg_pair(packets), ==, 0);
	r.control = control[0];
	r.packets = packets[0];
	g_assert_cmpint(msg_send(r.control, &start, sizeof(start),
				 (const int[]){ r.rtp.server, r.rtcp.server }, 2), ==, 0);
	r.pid = fork();
	if (r.pid == 0)
		run_program(control[1], packets[1]);
	close(control[1]);
	close(packets[1]);
	g_assert_cmpuint(hear(&r, WAIT_MS).type, ==, VOLET_UDP_READY);
	return r;
}

/* It must end by itself, in its own way, once voletd is gone. */
static void relay_free(struct relay *r)
{
	int status;

	close(r->control);
	g_assert_cmpint(waitpid(r->pid, &status, 0), ==, r->pid);
	g_assert_true(WIFEXITED(status));
	close(r->packets);
	wire_free(&r->rtp);
	wire_free(&r->rtcp);
}

static void put(const struct relay *r, enum volet_packet_type type, const char *text, int64_t ms)
{
	struct volet_packet packet = {
		.type = type, .length = (uint32_t)strlen(text),
		.expires_ns = (uint64_t)((int64_t)now_ns() + ms * 1000000),
	};

	memcpy(packet.data, text, strlen(text));
	g_assert_cmpint(msg_send(r->packets, &packet, sizeof(packet), NULL, 0), ==, 0);
}

static void assert_gets(int fd, const char *text)
{
	char bytes[2000];
	ssize_t n;

	g_assert_true(comes(fd, WAIT_MS));
	n = recv(fd, bytes, sizeof(bytes), 0);
	g_assert_cmpmem(bytes, n, text, strlen(text));
}

static void relayed(int family)
{
	struct relay r = relay_new(family);

	put(&r, VOLET_PACKET_RTP, "media", 5000);
	put(&r, VOLET_PACKET_RTCP, "report", 5000);
	assert_gets(r.rtp.viewer, "media");
	assert_gets(r.rtcp.viewer, "report");
	/* What the viewer sends to open a way is taken, and of no consequence. */
	g_assert_cmpint(sendto(r.rtp.viewer, "hole", 4, 0, (struct sockaddr *)&r.rtp.server_at,
			       sizeof(r.rtp.server_at)), ==, 4);
	put(&r, VOLET_PACKET_RTP, "more", 5000);
	assert_gets(r.rtp.viewer, "more");
	g_assert_cmpuint(hear(&r, 0).type, ==, 0);
	relay_free(&r);
}

static void test_relayed(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	g_autofd int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	relayed(AF_INET);
	if (six >= 0 && bind(six, (struct sockaddr *)&at, sizeof(at)) == 0)
		relayed(AF_INET6);
	else
		g_test_message("no IPv6 here: it was not tried");
}

/* Both wait in the channel as long: the one that may be late comes, the other doesn't. */
static void test_late(void)
{
	struct relay r = relay_new(AF_INET);

	kill(r.pid, SIGSTOP);
	put(&r, VOLET_PACKET_RTP, "first", 60000);
	put(&r, VOLET_PACKET_RTP, "late", 50);
	put(&r, VOLET_PACKET_RTP, "last", 60000);
	g_usleep(100000);
	kill(r.pid, SIGCONT);
	assert_gets(r.rtp.viewer, "first");
	assert_gets(r.rtp.viewer, "last");
	relay_free(&r);
}

static bool heard(const struct relay *r, int ms)
{
	struct volet_packet packet;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	if (msg_recv_wait(r->packets, &packet, sizeof(packet), fds, &n_fds, ms) < 0)
		return false;
	g_assert_cmpuint(packet.type, ==, VOLET_PACKET_HEARD);
	return true;
}

/* The viewer's reports count, what is none doesn't, and nobody else's gets in. */
static void test_reports(void)
{
	static const uint8_t good[8] = { 0x80, 201, 0, 1 }, bye[8] = { 0x80, 203, 0, 1 };
	static const uint8_t longer[8] = { 0x80, 201, 0, 2 }, version[8] = { 0x40, 201, 0, 1 };
	static const struct { const uint8_t *data; size_t n; } bad[] = {
		{ bye, 8 }, { longer, 8 }, { version, 8 }, { good, 4 }, { good, 0 },
	};
	struct relay r = relay_new(AF_INET);
	struct sockaddr_storage foreign_at, open_at;
	int foreign = bound(AF_INET, &foreign_at), open = bound(AF_INET, &open_at);
	const struct sockaddr *server = (struct sockaddr *)&r.rtcp.server_at;
	unsigned int i;
	char bytes[8];

	/* A socket that is bound and not connected takes it from anyone. */
	g_assert_cmpint(sendto(foreign, good, 8, 0, (struct sockaddr *)&open_at, sizeof(open_at)), ==, 8);
	g_assert_cmpint(recv(open, bytes, 8, 0), ==, 8);
	g_assert_cmpint(sendto(foreign, good, 8, 0, server, sizeof(open_at)), ==, 8);
	for (i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(sendto(r.rtcp.viewer, bad[i].data, bad[i].n, 0, server, sizeof(open_at)), ==,
				(ssize_t)bad[i].n);
	g_assert_false(heard(&r, 300));
	g_assert_cmpint(sendto(r.rtcp.viewer, good, 8, 0, server, sizeof(open_at)), ==, 8);
	g_assert_true(heard(&r, WAIT_MS));
	close(foreign);
	close(open);
	relay_free(&r);
}

/* Malformed packets of a session program end it, and it says so. */
static void test_malformed(void)
{
	struct volet_packet packet = { .type = VOLET_PACKET_RTP, .expires_ns = ~UINT64_C(0) };
	static const struct { uint32_t type, length; size_t size; } bad[] = {
		{ VOLET_PACKET_RTP, VOLET_PACKET_MAX + 1, sizeof(packet) }, { 0, 1, sizeof(packet) },
		{ VOLET_PACKET_HEARD, 1, sizeof(packet) }, { VOLET_PACKET_RTP, ~0u, sizeof(packet) },
		{ VOLET_PACKET_RTP, 1, sizeof(packet) - 1 }, { VOLET_PACKET_RTP, 1, 1 },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct relay r = relay_new(AF_INET);
		struct volet_udp msg;

		packet.type = bad[i].type;
		packet.length = bad[i].length;
		g_assert_cmpint(send(r.packets, &packet, bad[i].size, 0), ==, (ssize_t)bad[i].size);
		msg = hear(&r, WAIT_MS);
		g_assert_cmpuint(msg.type, ==, VOLET_UDP_LEAVE);
		g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_INTERNAL);
		g_assert_false(comes(r.rtp.viewer, 0));
		relay_free(&r);
	}
}

/* Nobody at the viewer's port: a moment is forgiven, longer is not. At the reports' port it is. */
static void test_refused(void)
{
	struct relay r = relay_new(AF_INET);
	struct volet_udp msg = { 0 };
	unsigned int i;

	close(r.rtcp.viewer);
	put(&r, VOLET_PACKET_RTCP, "report", 5000);
	put(&r, VOLET_PACKET_RTCP, "report", 5000);
	put(&r, VOLET_PACKET_RTP, "media", 5000);
	assert_gets(r.rtp.viewer, "media");
	g_assert_cmpuint(hear(&r, 200).type, ==, 0);
	close(r.rtp.viewer);
	put(&r, VOLET_PACKET_RTP, "media", 5000);
	put(&r, VOLET_PACKET_RTP, "media", 5000);
	g_assert_cmpuint(hear(&r, 200).type, ==, 0);
	for (i = 0; i < 100 && !msg.type; i++) {
		put(&r, VOLET_PACKET_RTP, "media", 5000);
		msg = hear(&r, 100);
	}
	g_assert_cmpuint(msg.type, ==, VOLET_UDP_LEAVE);
	g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_UDP);
	r.rtp.viewer = r.rtcp.viewer = -1;
	relay_free(&r);
}

/* Started by hand, without what volet-spawn gives it, it doesn't run. */
static void test_start(void)
{
	const char *argv[] = { the_program(), NULL };
	g_autofree char *err = NULL;
	int status;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &err,
				   &status, NULL));
	g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	g_assert_true(g_str_has_prefix(err, "volet-udp: refused to run: started "));
}

int main(int argc, char **argv)
{
	size_t i;

	g_test_init(&argc, &argv, NULL);
	for (i = 0; i < G_N_ELEMENTS(attempts); i++) {
		g_autofree char *path = g_strconcat("/udp/elsewhere/", attempts[i].name, NULL);

		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_elsewhere);
	}
	g_test_add_func("/udp/peer", test_peer);
	g_test_add_func("/udp/start", test_start);
	g_test_add_func("/udp/relayed", test_relayed);
	g_test_add_func("/udp/late", test_late);
	g_test_add_func("/udp/reports", test_reports);
	g_test_add_func("/udp/malformed", test_malformed);
	g_test_add_func("/udp/refused", test_refused);
	return g_test_run();
}
