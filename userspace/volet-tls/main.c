// SPDX-License-Identifier: MIT
/*
 * volet-tls: the TLS of one viewer's connection. Started by volet-spawn with that connection,
 * under a uid of its own, it has no private key (volet-sign has), no frame but what the session
 * program sends, and no credential but what passes through to it. It shuts itself in before it
 * reads a byte of the network, and ends with the connection.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "msg.h"
#include "relay.h"
#include "sandbox.h"
#include "server.h"

#define WAIT_MS		5000	/* for voletd and volet-sign */
#define LINGER_MS	1000	/* for the viewer to read the last words */

/* One write, so that lines of several sessions don't mix. */
static void say(const char *what, const char *why)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t size = sizeof(peer);
	char address[INET6_ADDRSTRLEN] = "-";
	const void *ip = &((struct sockaddr_in *)&peer)->sin_addr;
	unsigned int port;

	getpeername(VOLET_FD_EXTRA, (struct sockaddr *)&peer, &size);
	port = ntohs(((struct sockaddr_in *)&peer)->sin_port);	/* at the same place in both */
	if (peer.ss_family == AF_INET6)
		ip = &((struct sockaddr_in6 *)&peer)->sin6_addr;
	if (peer.ss_family)
		inet_ntop(peer.ss_family, ip, address, sizeof(address));
	dprintf(STDERR_FILENO, "volet-tls[%s port %u]: %s%s\n", address, port, what, why);
}

static void tell(const struct volet_tls *msg)
{
	(void)msg_send(VOLET_FD_CONTROL, msg, sizeof(*msg), NULL, 0);
}

static _Noreturn void leave(enum volet_reason reason)
{
	const struct volet_tls msg = { .type = VOLET_TLS_LEAVE, .end.reason = reason };

	tell(&msg);
	_exit(reason == VOLET_REASON_CLIENT_GONE ? EXIT_SUCCESS : 2);
}

static _Noreturn void refuse(const char *why)
{
	say("refused to run: ", why);
	leave(VOLET_REASON_INTERNAL);
}

/* voletd's one message: the signer's channel and the session program's stream. */
static void take_start(int *signer, int *plain)
{
	struct volet_tls msg;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(VOLET_FD_CONTROL, &msg, sizeof(msg), fds, &n_fds, WAIT_MS);

	if (ret < 0 || msg.type != VOLET_TLS_START || n_fds != 2)
		refuse("voletd gave it no channels");
	*signer = fds[0];
	*plain = fds[1];
}

static int take_certificate(int signer)
{
	struct volet_signature msg;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(signer, &msg, sizeof(msg), fds, &n_fds, WAIT_MS);

	if (ret < 0 || msg.type != VOLET_SIGNATURE_CERTIFICATE || n_fds != 1)
		refuse("volet-sign gave it no certificate");
	return fds[0];
}

/* Nothing more is said; wait for the viewer to have heard it. */
static void linger(void)
{
	struct pollfd fds[] = { { .fd = VOLET_FD_EXTRA, .events = POLLRDHUP },
				{ .fd = VOLET_FD_CONTROL, .events = POLLIN } };

	shutdown(VOLET_FD_EXTRA, SHUT_WR);
	poll(fds, 2, LINGER_MS);
}

static _Noreturn void handshake_failed(void)
{
	unsigned long error = ERR_peek_error();
	const char *why = ERR_reason_error_string(error);

	if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER ||
	    ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST ||
	    ERR_GET_REASON(error) == SSL_R_PACKET_LENGTH_TOO_LONG)
		say("no handshake: ", "what came is not TLS; the URL of this port begins with rtsps://");
	else
		say("no handshake: ", why ? why : "the viewer hung up");
	linger();
	leave(VOLET_REASON_TLS);
}

/* voletd's clock runs: it ends this process when the viewer takes too long. */
static void handshake(SSL *ssl)
{
	for (;;) {
		int ret = SSL_accept(ssl), error = SSL_get_error(ssl, ret);
		struct pollfd fds[] = {
			{ .fd = VOLET_FD_EXTRA, .events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN },
			{ .fd = VOLET_FD_CONTROL, .events = POLLIN },
		};

		if (ret == 1)
			return;
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			handshake_failed();
		poll(fds, 2, -1);
		if (fds[1].revents)
			leave(VOLET_REASON_SHUTDOWN);
	}
}

int main(void)
{
	struct volet_tls open = { .type = VOLET_TLS_OPEN };
	char why[SANDBOX_WHY_MAX];
	int signer, plain;
	SSL *ssl;

	clearenv();
	signal(SIGPIPE, SIG_IGN);
	if (!sandbox_check_start(VOLET_FD_EXTRA, why))
		refuse(why);
	take_start(&signer, &plain);
	if (!relay_prepare(plain))
		refuse("the kernel's SO_PEEK_OFF is missing for Unix sockets");
	ssl = server_new(VOLET_FD_EXTRA, take_certificate(signer), signer, why);
	if (!ssl || !sandbox_apply(why))
		refuse(why);
	handshake(ssl);
	close(signer);
	snprintf(open.open.version, sizeof(open.open.version), "%s", SSL_get_version(ssl));
	snprintf(open.open.cipher, sizeof(open.open.cipher), "%s", SSL_get_cipher_name(ssl));
	tell(&open);
	if (relay_run(ssl, VOLET_FD_EXTRA, plain, VOLET_FD_CONTROL) && SSL_shutdown(ssl) >= 0)
		linger();
	leave(VOLET_REASON_CLIENT_GONE);
}
