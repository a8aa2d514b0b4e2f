// SPDX-License-Identifier: MIT
/*
 * Questions of the RTSP thread to voletd: asked in the home thread, to which the session
 * belongs, while the RTSP thread waits. There is no time limit here: the session has one,
 * and when it ends the process does.
 */
#include "viewer.h"

#include <string.h>

struct question {
	struct viewer *viewer;
	const struct volet_ctl_auth *auth;	/* NULL: ask for a nonce, ... */
	unsigned int client_port;		/* ... or, when not 0, for RTP over UDP */
};

static gboolean ask_in_home(gpointer data)
{
	struct question *question = data;

	if (question->client_port)
		session_ask_udp(question->viewer->session, question->client_port);
	else if (question->auth)
		session_authenticate(question->viewer->session, question->auth);
	else
		session_ask_nonce(question->viewer->session);
	return G_SOURCE_REMOVE;
}

static enum answer ask(struct viewer *v, const struct volet_ctl_auth *auth,
		       unsigned int client_port)
{
	struct question question = { .viewer = v, .auth = auth, .client_port = client_port };
	struct desk *desk = &v->desk;
	enum answer answer;

	g_mutex_lock(&desk->lock);
	desk->answer = ANSWER_NONE;
	/* The question lives on this stack until the answer is there. */
	g_main_context_invoke(v->home, ask_in_home, &question);
	while (desk->answer == ANSWER_NONE)
		g_cond_wait(&desk->answered, &desk->lock);
	answer = desk->answer;
	g_mutex_unlock(&desk->lock);
	return answer;
}

enum answer desk_ask_nonce(struct viewer *v)
{
	return ask(v, NULL, 0);
}

enum answer desk_authenticate(struct viewer *v, const struct volet_ctl_auth *auth)
{
	return ask(v, auth, 0);
}

enum answer desk_ask_udp(struct viewer *v, unsigned int client_port)
{
	return ask(v, NULL, client_port);
}

static void answer_locked(struct desk *desk, enum answer answer)
{
	desk->answer = answer;
	g_cond_signal(&desk->answered);
}

void desk_nonce(void *data, const char *nonce)
{
	struct viewer *v = data;

	g_mutex_lock(&v->desk.lock);
	g_strlcpy(v->desk.nonce, nonce, sizeof(v->desk.nonce));
	answer_locked(&v->desk, ANSWER_NONCE);
	g_mutex_unlock(&v->desk.lock);
}

void desk_denied(void *data, enum volet_denied why, unsigned int tries_left)
{
	struct viewer *v = data;

	g_mutex_lock(&v->desk.lock);
	v->desk.denied = why;
	v->desk.tries_left = tries_left;
	answer_locked(&v->desk, ANSWER_DENIED);
	g_mutex_unlock(&v->desk.lock);
}

void desk_granted(void *data, const struct volet_ctl_granted *grant,
		  const struct volet_frame_memory *layout)
{
	struct viewer *v = data;

	g_mutex_lock(&v->desk.lock);
	v->desk.grant = *grant;
	v->desk.layout = *layout;
	answer_locked(&v->desk, ANSWER_GRANTED);
	g_mutex_unlock(&v->desk.lock);
}

void desk_udp(void *data, unsigned int server_port, int packets)
{
	struct viewer *v = data;

	g_mutex_lock(&v->desk.lock);
	v->desk.denied = VOLET_DENIED_TRANSPORT;
	v->desk.server_port = server_port;
	v->desk.packets = packets;
	answer_locked(&v->desk, packets < 0 ? ANSWER_DENIED : ANSWER_UDP);
	g_mutex_unlock(&v->desk.lock);
}
