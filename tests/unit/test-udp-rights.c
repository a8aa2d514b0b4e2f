// SPDX-License-Identifier: MIT
/*
 * RTP over UDP as voletd keeps it: who may have it, where its sockets are connected, what
 * volet-udp may say when, that an end is an end, and port pairs that rest after use.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define FIRST	52000
#define LAST	52199
#define SECOND	1000000000LL

/* ---- the bench ---------------------------------------------------------------------------- */

static struct bench *udp_bench(void)
{
	struct bench *bench = bench_new();
	unsigned int i;

	bench->config->udp = true;
	bench->config->udp_first = FIRST;
	bench->config->udp_last = LAST;
	for (i = 0; i < bench->config->viewers->len; i++)
		((struct volet_viewer_config *)bench->config->viewers->pdata[i])->udp = true;
	return bench;
}

static struct viewer granted_from(struct bench *bench, const char *from)
{
	struct viewer viewer = bench_connect(bench, from);

	viewer_nonce(&viewer);
	g_assert_cmpuint(viewer_auth(&viewer, "alice", "secret", "cam0").type, ==, VOLET_CTL_GRANTED);
	g_assert_cmpuint(bench_bus(bench, 0, NULL).type, ==, VOLET_BUS_GRANT);
	return viewer;
}

static void ask(struct viewer *viewer, unsigned int port)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_UDP, .udp.client_port = (uint16_t)port };

	viewer_say(viewer, &msg);
}

/* volet-udp, as the test has it. */
struct relay {
	uint32_t child;
	int channel, packets;
	int sockets[MSG_FDS_MAX];
};

static struct relay take_relay(struct bench *bench)
{
	struct volet_udp start;
	struct volet_spawn msg;
	struct relay r = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	msg = bench_spawn(bench, fds);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_START);
	g_assert_cmpuint(msg.program, ==, VOLET_PROGRAM_UDP);
	r.child = msg.id;
	r.channel = fds[0];
	r.packets = fds[1];
	g_assert_cmpint(msg_recv(r.channel, &start, sizeof(start), r.sockets, &n_fds), ==, 0);
	g_assert_cmpuint(start.type, ==, VOLET_UDP_START);
	g_assert_cmpuint(n_fds, ==, 2);
	return r;
}

static void relay_say(const struct relay *r, uint32_t type, uint32_t reason)
{
	const struct volet_udp msg = { .type = type, .end.reason = reason };

	g_assert_cmpint(msg_send(r->channel, &msg, sizeof(msg), NULL, 0), ==, 0);
	bench_settle();
}

static void relay_close(struct relay *r)
{
	close(r->channel);
	close(r->packets);
	msg_close_fds(r->sockets);
}

/* An end of the whole: the relay is killed too. `dead`: it had ended by itself. */
static void assert_ended(struct viewer *viewer, struct relay *r, enum volet_reason reason,
			 bool dead)
{
	int fds[MSG_FDS_MAX];

	if (!dead) {
		struct volet_spawn kill = bench_spawn(viewer->bench, fds);

		g_assert_cmpuint(kill.type, ==, VOLET_SPAWN_KILL);
		g_assert_cmpuint(kill.id, ==, r->child);
	}
	viewer_assert_ended(viewer, reason);
	relay_close(r);
}

static void assert_denied(struct viewer *viewer)
{
	struct volet_ctl answer = viewer_hear(viewer, NULL);

	g_assert_cmpuint(answer.type, ==, VOLET_CTL_DENIED);
	g_assert_cmpuint(answer.denied.why, ==, VOLET_DENIED_TRANSPORT);
	viewer_assert_alive(viewer);
}

/* ---- who may ------------------------------------------------------------------------------ */

static void test_denied(void)
{
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench);
	struct session *session = session_find(bench->daemon, &viewer.session);
	struct volet_viewer_config *config = (struct volet_viewer_config *)session->viewer;

	bench->config->udp = false;
	ask(&viewer, 5000);
	assert_denied(&viewer);
	bench->config->udp = true;
	config->udp = false;
	ask(&viewer, 5000);
	assert_denied(&viewer);
	config->udp = true;
	/* Whose connection is encrypted isn't sent plain pictures, whatever the configuration. */
	session->tls = (struct tls *)&session;
	ask(&viewer, 5000);
	assert_denied(&viewer);
	session->tls = NULL;
	g_assert_cmpuint(bench->daemon->totals.denied[VOLET_DENIED_TRANSPORT], ==, 3);
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_ports_asked(void)
{
	static const unsigned int bad[] = { 0, 22, 1022, 1023, 5001, 65535 };
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct bench *bench = udp_bench();
		struct viewer viewer = bench_granted(bench);

		ask(&viewer, bad[i]);
		viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
		bench_free(bench);
	}
}

/* ---- what is opened ----------------------------------------------------------------------- */

static void assert_address(int fd, int (*get)(int, struct sockaddr *, socklen_t *), const char *ip,
			   unsigned int port)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof(at);
	char text[INET_ADDRSTRLEN];

	g_assert_no_errno(get(fd, (struct sockaddr *)&at, &size));
	g_assert_cmpstr(inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)), ==, ip);
	g_assert_cmpuint(ntohs(at.sin_port), ==, port);
}

static void test_opened(void)
{
	struct bench *bench = udp_bench();
	struct viewer viewer = granted_from(bench, "127.0.0.5");
	struct volet_ctl answer;
	struct relay r;
	unsigned int i;
	int packets = -1;
	char byte;

	ask(&viewer, 5000);
	r = take_relay(bench);
	/* Nothing is told, and the channel not given, before it has shut itself in. */
	g_assert_cmpuint(viewer_hear(&viewer, NULL).type, ==, 0);
	relay_say(&r, VOLET_UDP_READY, 0);
	answer = viewer_hear(&viewer, &packets);
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_UDP_OPEN);
	g_assert_cmpuint(answer.udp.client_port, ==, 5000);
	g_assert_cmpuint(answer.udp.server_port % 2, ==, 0);
	g_assert_cmpuint(answer.udp.server_port, >=, FIRST);
	g_assert_cmpuint(answer.udp.server_port, <, LAST);
	/* The peer's address is the connection's; the request has none. */
	for (i = 0; i < 2; i++) {
		assert_address(r.sockets[i], getpeername, "127.0.0.5", 5000 + i);
		assert_address(r.sockets[i], getsockname, "127.0.0.1", answer.udp.server_port + i);
	}
	g_assert_cmpint(send(packets, "!", 1, 0), ==, 1);
	g_assert_cmpint(recv(r.packets, &byte, 1, MSG_DONTWAIT), ==, 1);
	close(packets);
	viewer_assert_alive(&viewer);
	relay_close(&r);
	viewer_close(&viewer);
	bench_free(bench);
}

/* ---- what may be said when ------------------------------------------------------------------ */

static void test_said(void)
{
	static const struct { uint32_t type, reason; enum volet_reason end; bool ready; } said[] = {
		{ VOLET_UDP_LEAVE, VOLET_REASON_UDP, VOLET_REASON_UDP, true },
		{ VOLET_UDP_LEAVE, VOLET_REASON_INTERNAL, VOLET_REASON_INTERNAL, false },
		{ VOLET_UDP_LEAVE, VOLET_REASON_OWNER, VOLET_REASON_PROTOCOL, true },
		{ VOLET_UDP_LEAVE, VOLET_REASON_COUNT, VOLET_REASON_PROTOCOL, true },
		{ VOLET_UDP_READY, 0, VOLET_REASON_PROTOCOL, true },	/* twice */
		{ VOLET_UDP_START, 0, VOLET_REASON_PROTOCOL, false },
		{ 0, 0, VOLET_REASON_PROTOCOL, false }, { 66, 0, VOLET_REASON_PROTOCOL, true },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(said); i++) {
		struct bench *bench = udp_bench();
		struct viewer viewer = bench_granted(bench);
		struct relay r;

		ask(&viewer, 5000);
		r = take_relay(bench);
		if (said[i].ready)
			relay_say(&r, VOLET_UDP_READY, 0);
		relay_say(&r, said[i].type, said[i].reason);
		assert_ended(&viewer, &r, said[i].end, false);
		bench_free(bench);
	}
}

static void test_wrong(void)
{
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench);
	struct relay r;

	/* Of a wrong size. */
	ask(&viewer, 5000);
	r = take_relay(bench);
	g_assert_cmpint(send(r.channel, "x", 1, 0), ==, 1);
	bench_settle();
	assert_ended(&viewer, &r, VOLET_REASON_PROTOCOL, false);
	/* The session program asks once. */
	viewer = bench_granted(bench);
	ask(&viewer, 5000);
	r = take_relay(bench);
	ask(&viewer, 5002);
	assert_ended(&viewer, &r, VOLET_REASON_PROTOCOL, false);
	/* It dies, or never starts. */
	viewer = bench_granted(bench);
	ask(&viewer, 5000);
	r = take_relay(bench);
	bench_exited(bench, r.child, SIGSYS);
	assert_ended(&viewer, &r, VOLET_REASON_PROGRAM_EXIT, true);
	bench_free(bench);
}

/* ---- the end ------------------------------------------------------------------------------ */

static int receiver(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*at);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	do {
		if (at->sin_port) {
			close(fd);
			fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
			at->sin_port = 0;
		}
		g_assert_no_errno(bind(fd, (struct sockaddr *)at, sizeof(*at)));
		g_assert_no_errno(getsockname(fd, (struct sockaddr *)at, &size));
	} while (ntohs(at->sin_port) % 2);
	return fd;
}

/* A program that goes on after the end, with its own descriptor of the socket. */
static void test_end(void)
{
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench);
	struct sockaddr_in at;
	int fd = receiver(&at), other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), copy;
	struct relay r;
	char byte;

	/* Closing one's own leaves the other's as it was. */
	g_assert_no_errno(connect(other, (struct sockaddr *)&at, sizeof(at)));
	copy = dup(other);
	close(other);
	g_assert_cmpint(send(copy, "x", 1, 0), ==, 1);
	g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), ==, 1);
	close(copy);
	ask(&viewer, ntohs(at.sin_port));
	r = take_relay(bench);
	relay_say(&r, VOLET_UDP_READY, 0);
	g_assert_cmpint(send(r.sockets[0], "x", 1, 0), ==, 1);
	g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), ==, 1);
	session_end(session_find(bench->daemon, &viewer.session), VOLET_REASON_OWNER);
	g_assert_cmpint(send(r.sockets[0], "x", 1, 0), ==, -1);
	g_assert_cmpint(errno, ==, EDESTADDRREQ);
	g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), ==, -1);
	assert_ended(&viewer, &r, VOLET_REASON_OWNER, false);
	close(fd);
	bench_free(bench);
}

/* Another's datagram, in the moment between bind() and connect() of a UDP socket. */
static unsigned int slipped_in;

int __real_connect(int fd, const struct sockaddr *at, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *at, socklen_t size);

int __wrap_connect(int fd, const struct sockaddr *at, socklen_t size)
{
	struct sockaddr_storage here;
	socklen_t here_size = sizeof(here), type_size = sizeof(int);
	int type = 0, foreign;

	if (slipped_in && at->sa_family != AF_UNSPEC &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_DGRAM) {
		g_assert_no_errno(getsockname(fd, (struct sockaddr *)&here, &here_size));
		foreign = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		g_assert_cmpint(sendto(foreign, "x", 1, 0, (struct sockaddr *)&here, here_size), ==, 1);
		close(foreign);
		slipped_in++;
	}
	return __real_connect(fd, at, size);
}

/* What came to a port before it was connected is nobody's. */
static void test_early(void)
{
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench);
	struct sockaddr_in at, from;
	int fd = receiver(&at), other = receiver(&from);
	struct relay r;
	unsigned int i;
	char byte;

	/* connect() alone leaves it there. */
	slipped_in = 1;
	g_assert_no_errno(connect(fd, (struct sockaddr *)&from, sizeof(from)));
	g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), ==, 1);
	close(fd);
	close(other);
	ask(&viewer, 5000);
	r = take_relay(bench);
	g_assert_cmpuint(slipped_in, ==, 4);
	slipped_in = 0;
	for (i = 0; i < 2; i++)
		g_assert_cmpint(recv(r.sockets[i], &byte, 1, MSG_DONTWAIT), ==, -1);
	viewer_assert_alive(&viewer);
	relay_close(&r);
	viewer_close(&viewer);
	bench_free(bench);
}

/* Switched off for whoever has it: their session ends. */
static void test_reload(void)
{
	g_autofree char *dir = g_dir_make_tmp("volet-udp-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "volet.conf", NULL);
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench), plain = bench_granted(bench);
	struct relay r;

	g_assert_true(g_file_set_contents_full(path, bench_configuration, -1, G_FILE_SET_CONTENTS_NONE,
					       0600, NULL));
	ask(&viewer, 5000);
	r = take_relay(bench);
	daemon_reload(bench->daemon, path);
	bench_settle();
	assert_ended(&viewer, &r, VOLET_REASON_OWNER, false);
	viewer_assert_alive(&plain);
	viewer_close(&plain);
	g_unlink(path);
	g_rmdir(dir);
	bench_free(bench);
}

/* ---- port pairs --------------------------------------------------------------------------- */

static void test_pairs(void)
{
	g_autofree struct ports *ports = g_new0(struct ports, 1);

	/* Two pairs, each once, in turn, and back only when they have rested. */
	g_assert_cmpuint(ports_take(ports, 50000, 50003, 0), ==, 50000);
	ports_give_back(ports, 50000, SECOND);
	g_assert_cmpuint(ports_take(ports, 50000, 50003, 2 * SECOND), ==, 50002);
	g_assert_cmpuint(ports_take(ports, 50000, 50003, SECOND + PORTS_QUARANTINE_NS - 1), ==, 0);
	g_assert_cmpuint(ports_take(ports, 50000, 50003, SECOND + PORTS_QUARANTINE_NS), ==, 50000);
	/* What lives doesn't come back, however long. */
	g_assert_cmpuint(ports_take(ports, 50000, 50003, 1000000 * SECOND), ==, 0);
	/* Another range, from a reload. */
	g_assert_cmpuint(ports_take(ports, 50002, 50005, 1000000 * SECOND), ==, 50004);
	g_assert_cmpuint(ports_take(ports, 65534, 65535, 0), ==, 65534);
}

/* All pairs in use or resting: no UDP, and the session goes on. Another's port is passed by. */
static void test_none_left(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct bench *bench = udp_bench();
	struct viewer viewer = bench_granted(bench);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct volet_ctl answer;
	struct relay r;

	bench->config->udp_last = FIRST + 3;
	at.sin_port = htons(FIRST + 1);
	g_assert_no_errno(bind(fd, (struct sockaddr *)&at, sizeof(at)));
	ask(&viewer, 5000);
	r = take_relay(bench);
	relay_say(&r, VOLET_UDP_READY, 0);
	answer = viewer_hear(&viewer, NULL);
	g_assert_cmpuint(answer.udp.server_port, ==, FIRST + 2);
	session_end(session_find(bench->daemon, &viewer.session), VOLET_REASON_OWNER);
	assert_ended(&viewer, &r, VOLET_REASON_OWNER, false);
	close(fd);
	viewer = bench_granted(bench);
	ask(&viewer, 5000);
	assert_denied(&viewer);
	viewer_close(&viewer);
	bench_free(bench);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/udp-rights/denied", test_denied);
	g_test_add_func("/udp-rights/ports-asked", test_ports_asked);
	g_test_add_func("/udp-rights/opened", test_opened);
	g_test_add_func("/udp-rights/said", test_said);
	g_test_add_func("/udp-rights/wrong", test_wrong);
	g_test_add_func("/udp-rights/end", test_end);
	g_test_add_func("/udp-rights/early", test_early);
	g_test_add_func("/udp-rights/reload", test_reload);
	g_test_add_func("/udp-rights/pairs", test_pairs);
	g_test_add_func("/udp-rights/none-left", test_none_left);
	return g_test_run();
}
