// SPDX-License-Identifier: MIT
/*
 * volet-tls and volet-sign: who can talk, what is refused, where the private key is, and that
 * what a viewer hasn't taken stays visible to the session program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg.h"
#include "scan.h"
#include "tls-bench.h"

#define DOWN_BYTES (3 * 1024 * 1024)

struct client {
	int tcp;
	SSL *ssl;
	struct tls_end end;
};

static void connect_pair(int *client, int *server)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
	socklen_t size = sizeof(at);

	g_assert_no_errno(bind(listener, (struct sockaddr *)&at, sizeof(at)));
	g_assert_no_errno(listen(listener, 1));
	g_assert_no_errno(getsockname(listener, (struct sockaddr *)&at, &size));
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	g_assert_no_errno(connect(*client, (struct sockaddr *)&at, sizeof(at)));
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(*server, SOL_SOCKET, SO_SNDBUF, &(int){ 64 * 1024 }, sizeof(int));
	close(listener);
}

static SSL_CTX *client_context(struct tls_bench *bench, int version, const char *ciphers)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	g_assert_cmpint(SSL_CTX_load_verify_locations(context, bench->certificate, NULL), ==, 1);
	if (ciphers)
		g_assert_cmpint(SSL_CTX_set_cipher_list(context, ciphers), ==, 1);
	return context;
}

/* The handshake's result; 1 is success. */
static int dial(struct tls_bench *bench, struct client *c, int version, const char *ciphers)
{
	SSL_CTX *context = client_context(bench, version, ciphers);
	int server;

	connect_pair(&c->tcp, &server);
	c->end = tls_bench_accept(bench, server);
	c->ssl = SSL_new(context);
	SSL_set1_host(c->ssl, "127.0.0.1");
	SSL_CTX_free(context);
	SSL_set_fd(c->ssl, c->tcp);
	return SSL_connect(c->ssl);
}

static void hang_up(struct client *c)
{
	SSL_free(c->ssl);
	close(c->tcp);
	tls_end_free(&c->end);
	ERR_clear_error();
}

static gpointer pour(gpointer data)
{
	int fd = GPOINTER_TO_INT(data);
	g_autofree uint8_t *bytes = g_malloc(DOWN_BYTES);
	size_t i, done = 0;

	for (i = 0; i < DOWN_BYTES; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	fcntl(fd, F_SETFL, 0);
	while (done < DOWN_BYTES) {
		ssize_t n = send(fd, bytes + done, MIN(DOWN_BYTES - done, 50000), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void talk(struct tls_bench *bench, int version, const char *name)
{
	struct volet_tls msg;
	struct client c;
	GThread *thread;
	char bytes[16384];
	size_t i = 0;
	int n;

	g_assert_cmpint(dial(bench, &c, version, NULL), ==, 1);
	msg = tls_end_hear(&c.end);
	g_assert_cmpuint(msg.type, ==, VOLET_TLS_OPEN);
	g_assert_cmpstr(msg.open.version, ==, name);
	g_assert_cmpint(SSL_write(c.ssl, "OPTIONS", 7), ==, 7);
	fcntl(c.end.stream, F_SETFL, 0);
	g_assert_cmpint(recv(c.end.stream, bytes, sizeof(bytes), 0), ==, 7);
	g_assert_cmpmem(bytes, 7, "OPTIONS", 7);
	thread = g_thread_new("pour", pour, GINT_TO_POINTER(c.end.stream));
	while ((n = SSL_read(c.ssl, bytes, sizeof(bytes))) > 0) {
		int j;

		for (j = 0; j < n; j++, i++)
			g_assert_cmpint((uint8_t)bytes[j], ==, (uint8_t)(i * 31 + i / 251));
	}
	g_thread_join(thread);
	g_assert_cmpuint(i, ==, DOWN_BYTES);
	/* The end is said, not just there. */
	g_assert_cmpint(SSL_get_error(c.ssl, n), ==, SSL_ERROR_ZERO_RETURN);
	/* Nothing to come back with. */
	g_assert_false(SSL_SESSION_has_ticket(SSL_get_session(c.ssl)));
	SSL_shutdown(c.ssl);
	close(c.tcp);
	c.tcp = -1;
	msg = tls_end_hear(&c.end);
	g_assert_cmpuint(msg.type, ==, VOLET_TLS_LEAVE);
	g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_CLIENT_GONE);
	hang_up(&c);
}

static void test_talk(void)
{
	struct tls_bench *bench = tls_bench_new();

	talk(bench, TLS1_3_VERSION, "TLSv1.3");
	talk(bench, TLS1_2_VERSION, "TLSv1.2");
	tls_bench_free(bench);
}

static void test_refused(void)
{
	static const struct { int version; const char *ciphers; } bads[] = {
		{ TLS1_VERSION, "DEFAULT@SECLEVEL=0" }, { TLS1_1_VERSION, "DEFAULT@SECLEVEL=0" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256" }, { TLS1_2_VERSION, "AES128-GCM-SHA256" },
	};
	struct tls_bench *bench = tls_bench_new();
	struct volet_tls msg;
	struct client c;
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(bads); i++) {
		g_assert_cmpint(dial(bench, &c, bads[i].version, bads[i].ciphers), !=, 1);
		msg = tls_end_hear(&c.end);
		g_assert_cmpuint(msg.type, ==, VOLET_TLS_LEAVE);
		g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_TLS);
		hang_up(&c);
	}
	/* A client that knows no such name doesn't stay. */
	tls_bench_free(bench);
}

static void test_plain(void)
{
	static const char request[] = "OPTIONS rtsp://127.0.0.1/cam0 RTSP/1.0\r\nCSeq: 1\r\n\r\n";
	struct tls_bench *bench = tls_bench_new();
	struct volet_tls msg;
	struct tls_end end;
	char bytes[256];
	int tcp, server;
	ssize_t n;

	connect_pair(&tcp, &server);
	end = tls_bench_accept(bench, server);
	g_assert_cmpint(send(tcp, request, strlen(request), 0), ==, (ssize_t)strlen(request));
	n = recv(tcp, bytes, sizeof(bytes), MSG_WAITALL);
	/* An alert record, or just the end. */
	g_assert_true(n == 0 || (n == 7 && bytes[0] == 21) || (n < 0 && errno == ECONNRESET));
	close(tcp);
	msg = tls_end_hear(&end);
	g_assert_cmpuint(msg.type, ==, VOLET_TLS_LEAVE);
	g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_TLS);
	/* Not a byte of it went on. */
	g_assert_cmpint(recv(end.stream, bytes, sizeof(bytes), 0), <=, 0);
	tls_end_free(&end);
	tls_bench_free(bench);
}

/* ---- the signer ------------------------------------------------------------------------- */

static void ask(int channel, struct volet_signature *msg, const char *text)
{
	*msg = (struct volet_signature){ .type = VOLET_SIGNATURE_REQUEST, .length = 64 + 34 + 32 };
	memset(msg->data, ' ', 64);
	memcpy(msg->data + 64, text, 34);
	(void)msg_send(channel, msg, sizeof(*msg), NULL, 0);
}

static int hear(int channel, struct volet_signature *msg)
{
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv_wait(channel, msg, sizeof(*msg), fds, &n_fds, 5000);
	msg_close_fds(fds);
	return ret;
}

static void test_signer(void)
{
	static const char good[] = "TLS 1.3, server CertificateVerify";
	struct tls_bench *bench = tls_bench_new();
	int channel = tls_bench_channel(bench);
	struct volet_signature msg;

	g_assert_cmpint(hear(channel, &msg), ==, 0);
	g_assert_cmpuint(msg.type, ==, VOLET_SIGNATURE_CERTIFICATE);
	ask(channel, &msg, good);
	g_assert_cmpint(hear(channel, &msg), ==, 0);
	g_assert_cmpuint(msg.type, ==, VOLET_SIGNATURE_DONE);
	g_assert_cmpuint(msg.length, >=, 64);
	/* One connection, one signature. */
	ask(channel, &msg, good);
	g_assert_cmpint(hear(channel, &msg), ==, -EPIPE);
	close(channel);
	channel = tls_bench_channel(bench);
	g_assert_cmpint(hear(channel, &msg), ==, 0);
	ask(channel, &msg, "TLS 1.3, client CertificateVerify");
	g_assert_cmpint(hear(channel, &msg), ==, -EPIPE);
	close(channel);
	/* A length past the message, and no message at all. */
	channel = tls_bench_channel(bench);
	g_assert_cmpint(hear(channel, &msg), ==, 0);
	msg = (struct volet_signature){ .type = VOLET_SIGNATURE_REQUEST, .length = ~0u };
	g_assert_cmpint(msg_send(channel, &msg, sizeof(msg), NULL, 0), ==, 0);
	g_assert_cmpint(hear(channel, &msg), ==, -EPIPE);
	close(channel);
	channel = tls_bench_channel(bench);
	g_assert_cmpint(hear(channel, &msg), ==, 0);
	g_assert_cmpint(send(channel, "x", 1, 0), ==, 1);
	g_assert_cmpint(hear(channel, &msg), ==, -EPIPE);
	close(channel);
	g_assert_cmpint(waitpid(bench->sign_pid, NULL, WNOHANG), ==, 0);
	tls_bench_free(bench);
}

static void assert_fails(struct tls_bench *bench, const char *text)
{
	struct volet_signer msg = tls_bench_sign(bench);

	g_assert_cmpuint(msg.type, ==, VOLET_SIGNER_FAILED);
	if (!strstr(msg.failed.text, text))
		g_error("\"%s\" does not say \"%s\"", msg.failed.text, text);
	close(bench->signer);
	bench->signer = -1;
	waitpid(bench->sign_pid, NULL, 0);
}

static void test_files(void)
{
	struct tls_bench *bench = tls_bench_files();
	g_autofree char *other = g_build_filename(bench->dir, "other.pem", NULL);
	EVP_PKEY *key;

	/* A key that others can read. */
	g_assert_no_errno(chmod(bench->private_key, 0440));
	assert_fails(bench, "others than volet-sign's uid have access");
	g_assert_no_errno(chmod(bench->private_key, 0400));
	if (getuid() == 0) {
		g_assert_no_errno(chown(bench->private_key, 0, 0));
		assert_fails(bench, "must be able to read it");
		g_assert_no_errno(chown(bench->private_key, TLS_BENCH_SIGN_UID, 0));
	}
	/* Another key's certificate. */
	key = tls_bench_write_key(other, 0);
	g_unlink(bench->certificate);
	tls_bench_write_certificate(bench->certificate, key);
	EVP_PKEY_free(key);
	assert_fails(bench, "is not of the key in private-key");
	g_unlink(bench->private_key);
	assert_fails(bench, "No such file");
	EVP_PKEY_free(tls_bench_write_key(bench->private_key, 2048));
	assert_fails(bench, "not an EC key on P-256");
	g_unlink(bench->private_key);
	/* The key's file in both places. */
	g_assert_no_errno(g_rename(other, bench->private_key));
	g_free(bench->certificate);
	bench->certificate = g_strdup(bench->private_key);
	assert_fails(bench, "no certificate in PEM");
	tls_bench_free(bench);
}

/* ---- where the key is --------------------------------------------------------------------- */

/* As it stands in memory: the number's words from the least on, or its bytes from the highest. */
static void secret_of(const char *path, uint8_t big[32], uint8_t little[32])
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	BIGNUM *number = NULL;
	unsigned int i;

	fclose(file);
	g_assert_cmpint(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), ==, 1);
	g_assert_cmpint(BN_bn2binpad(number, big, 32), ==, 32);
	for (i = 0; i < 32; i++)
		little[i] = big[31 - i];
	BN_clear_free(number);
	EVP_PKEY_free(key);
}

/* -1 when it can't be told. */
static int holds_key(pid_t pid, const char *path)
{
	uint8_t big[32], little[32];
	int a, b;

	secret_of(path, big, little);
	a = scan_process(pid, big, sizeof(big));
	b = scan_process(pid, little, sizeof(little));
	explicit_bzero(big, sizeof(big));
	explicit_bzero(little, sizeof(little));
	return a < 0 || b < 0 ? -1 : a + b;
}

/* What everybody does: the process that talks to the network loads the key. */
static pid_t load_directly(const char *path)
{
	pid_t pid;
	int ready[2];
	char byte;

	g_assert_no_errno(pipe(ready));
	pid = fork();
	if (pid == 0) {
		SSL_CTX *context = SSL_CTX_new(TLS_server_method());

		if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void test_key_custody(void)
{
	struct tls_bench *bench = tls_bench_new();
	struct client c;
	pid_t direct;

	if (holds_key(bench->sign_pid, bench->private_key) < 0) {
		g_test_skip("another process's memory can't be read here: run this as root");
		tls_bench_free(bench);
		return;
	}
	/* The unprotected case, and the one process that is meant to have it: the scan finds both. */
	direct = load_directly(bench->private_key);
	g_assert_cmpint(holds_key(direct, bench->private_key), >=, 1);
	kill(direct, SIGKILL);
	waitpid(direct, NULL, 0);
	g_assert_cmpint(holds_key(bench->sign_pid, bench->private_key), >=, 1);
	g_assert_cmpint(dial(bench, &c, TLS1_3_VERSION, NULL), ==, 1);
	g_assert_cmpuint(tls_end_hear(&c.end).type, ==, VOLET_TLS_OPEN);
	g_assert_cmpint(holds_key(c.end.pid, bench->private_key), ==, 0);
	hang_up(&c);
	tls_bench_free(bench);
}

/* ---- a viewer that doesn't read --------------------------------------------------------------- */

static int waiting(int fd)
{
	int n = 0;

	g_assert_no_errno(ioctl(fd, TIOCOUTQ, &n));
	return n;
}

static void test_unread(void)
{
	struct tls_bench *bench = tls_bench_new();
	static char bytes[4096];
	size_t taken = 0, got = 0;
	struct client c;
	unsigned int i;
	int n;

	g_assert_cmpint(dial(bench, &c, TLS1_3_VERSION, NULL), ==, 1);
	g_assert_cmpuint(tls_end_hear(&c.end).type, ==, VOLET_TLS_OPEN);
	setsockopt(c.end.stream, SOL_SOCKET, SO_SNDBUF, &(int){ 64 * 1024 }, sizeof(int));
	for (i = 0; i < 100; i++) {
		while ((n = (int)send(c.end.stream, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			taken += (size_t)n;
		g_usleep(5000);
	}
	g_test_message("a viewer that reads nothing: %zu bytes on the way, %d of them known to the program",
		       taken, waiting(c.end.stream));
	/* Without the relay's care it would be this and another 200 kB that nobody counts. */
	g_assert_cmpuint(taken, <=, 160 * 1024);
	/* What the viewer's kernel has acknowledged is all that isn't waiting any more. */
	g_assert_cmpint(waiting(c.end.stream), >=, (int)taken - 16 * 1024);
	while (got < taken) {
		n = SSL_read(c.ssl, bytes, sizeof(bytes));
		g_assert_cmpint(n, >, 0);
		got += (size_t)n;
	}
	for (i = 0; i < 1500 && waiting(c.end.stream); i++)
		g_usleep(10000);
	g_assert_cmpint(waiting(c.end.stream), ==, 0);
	hang_up(&c);
	tls_bench_free(bench);
}

/* ---- what it costs ---------------------------------------------------------------------------- */

static unsigned int field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? (unsigned int)strtoul(at + strlen(name), NULL, 10) : 0;
}

static void say_memory(const char *name, pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", pid), *text = NULL;

	if (g_file_get_contents(path, &text, NULL, NULL))
		g_test_message("%s: private %u kB, proportional %u kB", name,
			       field(text, "Private_Clean:") + field(text, "Private_Dirty:"),
			       field(text, "\nPss:"));
}

static void test_cost(void)
{
	struct tls_bench *bench = tls_bench_new();
	struct client c[8];
	gint64 best = G_MAXINT64;
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(c); i++) {
		gint64 before = g_get_monotonic_time();

		g_assert_cmpint(dial(bench, &c[i], TLS1_3_VERSION, NULL), ==, 1);
		g_assert_cmpuint(tls_end_hear(&c[i].end).type, ==, VOLET_TLS_OPEN);
		best = MIN(best, g_get_monotonic_time() - before);
	}
	g_test_message("connection to open, program start and handshake: %.1f ms", (double)best / 1000);
	say_memory("volet-tls (of 8)", c[0].end.pid);
	say_memory("volet-sign", bench->sign_pid);
	for (i = 0; i < G_N_ELEMENTS(c); i++)
		hang_up(&c[i]);
	tls_bench_free(bench);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	g_test_add_func("/tls/talk", test_talk);
	g_test_add_func("/tls/refused", test_refused);
	g_test_add_func("/tls/plain", test_plain);
	g_test_add_func("/tls/signer", test_signer);
	g_test_add_func("/tls/files", test_files);
	g_test_add_func("/tls/key-custody", test_key_custody);
	g_test_add_func("/tls/unread", test_unread);
	g_test_add_func("/tls/cost", test_cost);
	return g_test_run();
}
