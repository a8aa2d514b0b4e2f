// SPDX-License-Identifier: MIT
/*
 * The TLS of a connection to the RTSPS port. volet-tls alone gets the connection itself; a
 * session program is started when the handshake is done, with one end of a byte stream of
 * which volet-tls has the other. Plain text on that port never reaches a session program.
 */
#include "daemon.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls {
	struct aide aide;		/* volet-tls */
	int stream;			/* the session program's, until it is started */
};

static enum volet_reason take_open(struct tls *tls, const struct volet_tls *msg)
{
	bool ok;

	if (tls->stream < 0 || !msg_text_ok(msg->open.version, sizeof(msg->open.version)) ||
	    !msg_text_ok(msg->open.cipher, sizeof(msg->open.cipher)) ||
	    strspn(msg->open.cipher, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
	    != strlen(msg->open.cipher) || strspn(msg->open.version, "TLSv1.23") !=
	    strlen(msg->open.version))
		return VOLET_REASON_PROTOCOL;
	say("%s: %s, %s", tls->aide.session->peer, msg->open.version, msg->open.cipher);
	ok = session_start_program(tls->aide.session, tls->stream);
	close(tls->stream);
	tls->stream = -1;
	return ok ? VOLET_REASON_NONE : VOLET_REASON_INTERNAL;
}

static enum volet_reason take(struct aide *aide, const union aide_message *message)
{
	struct tls *tls = (struct tls *)aide;
	const struct volet_tls *msg = &message->tls;

	if (msg->type == VOLET_TLS_OPEN)
		return take_open(tls, msg);
	if (msg->type == VOLET_TLS_LEAVE &&
	    (msg->end.reason == VOLET_REASON_TLS || msg->end.reason == VOLET_REASON_CLIENT_GONE ||
	     msg->end.reason == VOLET_REASON_INTERNAL))
		return msg->end.reason;
	return VOLET_REASON_PROTOCOL;
}

/* Both of its channels: the signer's from the signer, the stream from us. */
static bool start(struct tls *tls)
{
	const struct volet_tls first = { .type = VOLET_TLS_START };
	struct session *session = tls->aide.session;
	int signature[2], stream[2];
	bool ok;

	if (msg_pair(signature) < 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) < 0) {
		close(signature[0]);
		close(signature[1]);
		return false;
	}
	ok = signer_connect(session->daemon, signature[0]) &&
	     aide_start(&tls->aide, &first, (const int[]){ signature[1], stream[0] }, session->tcp);
	close(signature[0]);
	close(signature[1]);
	close(stream[0]);
	tls->stream = stream[1];
	return ok;
}

struct tls *tls_new(struct session *session)
{
	struct tls *tls = g_new0(struct tls, 1);

	tls->aide = (struct aide){
		.session = session, .program = VOLET_PROGRAM_TLS, .name = "volet-tls",
		.message_size = sizeof(struct volet_tls), .take = take, .channel = -1,
	};
	tls->stream = -1;
	if (start(tls))
		return tls;
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	aide_end(&tls->aide);
	if (tls->stream >= 0)
		close(tls->stream);
	g_free(tls);
}
