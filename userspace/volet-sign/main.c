// SPDX-License-Identifier: MIT
/*
 * volet-sign: holds the device's private key, and signs TLS handshakes with it. It is the one
 * process that can read the key's file, has no network, and is asked by fixed messages: by
 * voletd for a channel for each new connection, and by that connection's volet-tls, on its
 * channel, for one signature of one of two forms (form.h).
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "form.h"
#include "key.h"
#include "msg.h"
#include "sandbox.h"
#include "secrets.h"

#define CONNECTIONS_MAX 40	/* handshakes at once; RLIMIT_NOFILE of the sandbox is 64 */
#define SECURE_HEAP	(64 * 1024)

static int connections[CONNECTIONS_MAX];
static unsigned int n_connections;

static void say(const char *what, const char *why)
{
	dprintf(STDERR_FILENO, "volet-sign: %s%s\n", what, why);
}

static _Noreturn void fail(const char *why)
{
	struct volet_signer msg = { .type = VOLET_SIGNER_FAILED };

	say("", why);
	snprintf(msg.failed.text, sizeof(msg.failed.text), "%s", why);
	(void)msg_send(VOLET_FD_CONTROL, &msg, sizeof(msg), NULL, 0);
	exit(EXIT_FAILURE);
}

/* VOLET_FD_EXTRA's two paths. */
static struct key *load(char why[KEY_WHY_MAX])
{
	char paths[VOLET_SIGNER_PATHS_MAX + 1] = "";
	ssize_t n = read(VOLET_FD_EXTRA, paths, VOLET_SIGNER_PATHS_MAX);
	const char *key = n > 0 ? paths + strlen(paths) + 1 : NULL;

	close(VOLET_FD_EXTRA);
	if (!key || key >= paths + n || paths[n - 1]) {
		snprintf(why, KEY_WHY_MAX, "started without the two paths; voletd starts this program");
		return NULL;
	}
	return key_load(paths, key, why);
}

static void drop(unsigned int i)
{
	close(connections[i]);
	connections[i] = connections[--n_connections];
}

static void add(const struct key *key, int fd)
{
	const struct volet_signature msg = { .type = VOLET_SIGNATURE_CERTIFICATE };
	const int certificate = key_certificate(key);

	if (n_connections < CONNECTIONS_MAX && msg_send(fd, &msg, sizeof(msg), &certificate, 1) == 0)
		connections[n_connections++] = fd;
	else
		close(fd);
}

/* voletd's only message; false when it is gone or said something else. */
static bool serve_voletd(const struct key *key)
{
	struct volet_signer msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(VOLET_FD_CONTROL, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return true;
	if (ret < 0 || msg.type != VOLET_SIGNER_CONNECTION || n_fds != 1) {
		msg_close_fds(fds);
		return false;
	}
	add(key, fds[0]);
	return true;
}

/* One question, one answer, and the channel is closed, whatever it was. */
static void serve_connection(const struct key *key, unsigned int i)
{
	struct volet_signature msg, answer = { .type = VOLET_SIGNATURE_DONE };
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(connections[i], &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return;
	msg_close_fds(fds);
	if (ret == 0 && n_fds == 0 && msg.type == VOLET_SIGNATURE_REQUEST &&
	    msg.length <= sizeof(msg.data) && form_allowed(msg.data, msg.length)) {
		answer.length = (uint32_t)key_sign(key, msg.data, msg.length, answer.data);
		(void)msg_send(connections[i], &answer, sizeof(answer), NULL, 0);
	} else if (ret != -EPIPE) {
		say("refused: ", "what a volet-tls wanted signed is not of a TLS server's handshake");
	}
	drop(i);
}

/* Whatever OpenSSL does once, it does here: later there are no files. */
static bool warm_up(const struct key *key)
{
	uint8_t signature[KEY_SIGNATURE_MAX];

	return RAND_bytes(signature, sizeof(signature)) == 1 &&
	       key_sign(key, (const uint8_t *)"", 0, signature) > 0;
}

int main(void)
{
	const struct volet_signer ready = { .type = VOLET_SIGNER_READY };
	char why[KEY_WHY_MAX];
	struct key *key;
	unsigned int i;

	clearenv();
	if (!sandbox_check_start(VOLET_FD_EXTRA, why))
		fail(why);
	/* Before the key is read. */
	if (!secrets_no_dump())
		fail("can't become undumpable");
	/* Locked, kept out of dumps, between guard pages; where the limit allows no locking, still apart. */
#ifndef VOLET_FAULT_LOOSE	/* without it, for tests only, the key is in ordinary memory */
	CRYPTO_secure_malloc_init(SECURE_HEAP, 32);
#endif
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	key = load(why);
	if (!key || !warm_up(key))
		fail(key ? "no random numbers" : why);
	if (why[0])
		say("", why);
	if (!sandbox_apply(why))
		fail(why);
	if (msg_send(VOLET_FD_CONTROL, &ready, sizeof(ready), NULL, 0) < 0)
		return EXIT_FAILURE;
	for (;;) {
		struct pollfd polled[CONNECTIONS_MAX + 1] = {
			{ .fd = VOLET_FD_CONTROL, .events = POLLIN },
		};
		unsigned int n = n_connections;

		for (i = 0; i < n; i++)
			polled[i + 1] = (struct pollfd){ .fd = connections[i], .events = POLLIN };
		if (poll(polled, n + 1, -1) < 0 && errno != EINTR)
			return EXIT_FAILURE;
		/* From the last on: what is dropped is replaced by one that was looked at. */
		for (i = n; i-- > 0;) {
			if (polled[i + 1].revents)
				serve_connection(key, i);
		}
		if (polled[0].revents && !serve_voletd(key))
			return EXIT_SUCCESS;
	}
}
