// SPDX-License-Identifier: MIT
/* volet-sign and volet-tls with the test as voletd; see tls-bench.h. */
#include "tls-bench.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg.h"

const char *tls_bench_program(const char *variable, const char *name)
{
	const char *path = g_getenv(variable);

	return path ? path : g_strconcat("/usr/libexec/volet/", name, NULL);
}

EVP_PKEY *tls_bench_write_key(const char *path, int bits)
{
	EVP_PKEY *key = bits ? EVP_RSA_gen(bits) : EVP_EC_gen("P-256");
	FILE *file = fopen(path, "we");

	g_assert_nonnull(key);
	g_assert_nonnull(file);
	g_assert_cmpint(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), ==, 1);
	fclose(file);
	g_assert_no_errno(chmod(path, 0400));
	if (getuid() == 0)
		g_assert_no_errno(chown(path, TLS_BENCH_SIGN_UID, 0));
	return key;
}

void tls_bench_write_certificate(const char *path, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
						  "IP:127.0.0.1,DNS:localhost");
	FILE *file = fopen(path, "we");

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"camera", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	g_assert_nonnull(alt);
	X509_add_ext(x, alt, -1);
	X509_EXTENSION_free(alt);
	g_assert_cmpint(X509_sign(x, key, EVP_sha256()), >, 0);
	g_assert_nonnull(file);
	g_assert_cmpint(PEM_write_X509(file, x), ==, 1);
	fclose(file);
	g_assert_no_errno(chmod(path, 0444));
	X509_free(x);
}

struct tls_bench *tls_bench_files(void)
{
	struct tls_bench *bench = g_new0(struct tls_bench, 1);
	EVP_PKEY *key;

	bench->signer = -1;
	bench->dir = g_dir_make_tmp("volet-tls-XXXXXX", NULL);
	g_assert_no_errno(chmod(bench->dir, 0755));
	bench->certificate = g_build_filename(bench->dir, "cert.pem", NULL);
	bench->private_key = g_build_filename(bench->dir, "key.pem", NULL);
	key = tls_bench_write_key(bench->private_key, 0);
	tls_bench_write_certificate(bench->certificate, key);
	EVP_PKEY_free(key);
	return bench;
}

/* As volet-spawn does it. */
static pid_t run_program(const char *program, int control, int extra, uid_t uid)
{
	pid_t pid = fork();
	int fds[5], i;

	if (pid)
		return pid;
	fds[0] = fds[1] = open("/dev/null", O_RDWR);
	fds[2] = 2;
	fds[3] = control;
	fds[4] = extra;
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

struct volet_signer tls_bench_sign(struct tls_bench *bench)
{
	struct volet_signer msg = { 0 };
	int paths = memfd_create("paths", MFD_CLOEXEC), pair[2], fds[MSG_FDS_MAX];
	unsigned int n_fds;

	g_assert_cmpint(write(paths, bench->certificate, strlen(bench->certificate) + 1), >, 0);
	g_assert_cmpint(write(paths, bench->private_key, strlen(bench->private_key) + 1), >, 0);
	lseek(paths, 0, SEEK_SET);
	g_assert_cmpint(msg_pair(pair), ==, 0);
	bench->sign_pid = run_program(tls_bench_program("VOLET_SIGN", "volet-sign"), pair[1], paths,
				      TLS_BENCH_SIGN_UID);
	close(pair[1]);
	close(paths);
	bench->signer = pair[0];
	g_assert_cmpint(msg_recv_wait(bench->signer, &msg, sizeof(msg), fds, &n_fds, 20000), ==, 0);
	return msg;
}

struct tls_bench *tls_bench_new(void)
{
	struct tls_bench *bench = tls_bench_files();
	struct volet_signer msg = tls_bench_sign(bench);

	if (msg.type != VOLET_SIGNER_READY)
		g_error("volet-sign: %s", msg.failed.text);
	return bench;
}

void tls_bench_free(struct tls_bench *bench)
{
	if (bench->signer >= 0) {
		close(bench->signer);
		waitpid(bench->sign_pid, NULL, 0);
	}
	g_unlink(bench->certificate);
	g_unlink(bench->private_key);
	g_rmdir(bench->dir);
	g_free(bench->certificate);
	g_free(bench->private_key);
	g_free(bench->dir);
	g_free(bench);
}

int tls_bench_channel(struct tls_bench *bench)
{
	const struct volet_signer msg = { .type = VOLET_SIGNER_CONNECTION };
	int pair[2];

	g_assert_cmpint(msg_pair(pair), ==, 0);
	g_assert_cmpint(msg_send(bench->signer, &msg, sizeof(msg), &pair[0], 1), ==, 0);
	close(pair[0]);
	return pair[1];
}

struct tls_end tls_bench_accept(struct tls_bench *bench, int tcp)
{
	static uid_t uid = 61500;
	const struct volet_tls start = { .type = VOLET_TLS_START };
	int channel = tls_bench_channel(bench), pair[2], stream[2];
	struct tls_end end;

	g_assert_cmpint(msg_pair(pair), ==, 0);
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream));
	g_assert_cmpint(msg_send(pair[0], &start, sizeof(start), (int[]){ channel, stream[0] }, 2), ==, 0);
	fcntl(tcp, F_SETFL, O_NONBLOCK);
	end.pid = run_program(tls_bench_program("VOLET_TLS", "volet-tls"), pair[1], tcp,
			      61500 + uid++ % 400);
	end.control = pair[0];
	end.stream = stream[1];
	close(pair[1]);
	close(channel);
	close(stream[0]);
	close(tcp);
	return end;
}

struct volet_tls tls_end_hear(struct tls_end *end)
{
	struct volet_tls msg = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	if (msg_recv_wait(end->control, &msg, sizeof(msg), fds, &n_fds, 10000) < 0)
		msg.type = 0;
	return msg;
}

void tls_end_free(struct tls_end *end)
{
	close(end->control);
	if (end->stream >= 0)
		close(end->stream);
	kill(end->pid, SIGKILL);
	waitpid(end->pid, NULL, 0);
}
