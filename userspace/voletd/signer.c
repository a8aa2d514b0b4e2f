// SPDX-License-Identifier: MIT
/*
 * A volet-sign's life. voletd gives it two paths and a channel for each TLS connection; neither
 * the key nor a way to open its file is ever here.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RESTART_MS 250		/* one that was in use has ended */
#define RETRY_MS 5000		/* one could not be had */

struct signer {
	struct daemon *daemon;
	int channel;
	uint32_t child;
	guint watch;
};

static void signer_free(struct signer *signer)
{
	g_clear_handle_id(&signer->watch, g_source_remove);
	if (signer->child) {
		starter_kill(signer->daemon, signer->child);
		starter_forget(signer->daemon, signer->child);
	}
	close(signer->channel);
	g_free(signer);
}

static gboolean on_retry(gpointer data)
{
	struct daemon *daemon = data;

	daemon->signer_timer = 0;
	signer_rotate(daemon);
	return G_SOURCE_REMOVE;
}

/* It is gone, or is to be treated as if it were. */
static void give_up(struct signer *signer, const char *why)
{
	struct daemon *daemon = signer->daemon;
	bool in_use = daemon->signer == signer;

	if (in_use)
		daemon->signer = NULL;
	else
		daemon->next_signer = NULL;
	signer_free(signer);
	if (in_use || daemon->signer_was_ready) {
		say("%s; %s", why, daemon->signer ? "the certificate and key in use stay" :
						    "RTSPS waits until there is another");
		if (!daemon->signer && !daemon->next_signer && !daemon->signer_timer)
			daemon->signer_timer =
				g_timeout_add(in_use ? RESTART_MS : RETRY_MS, on_retry, daemon);
	} else {
		daemon_fail(daemon, why);
	}
}

static void take_ready(struct signer *signer)
{
	struct daemon *daemon = signer->daemon;

	g_clear_pointer(&daemon->signer, signer_free);
	daemon->signer = g_steal_pointer(&daemon->next_signer);
	daemon->signer_was_ready = true;
	say("volet-sign is ready with %s and its key", daemon->config->certificate);
}

static gboolean on_message(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct signer *signer = data;
	g_autofree char *text = NULL;
	struct volet_signer msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(fd, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return G_SOURCE_CONTINUE;
	msg_close_fds(fds);
	if (ret == 0 && !n_fds && msg.type == VOLET_SIGNER_READY &&
	    signer == signer->daemon->next_signer) {
		take_ready(signer);
	} else if (ret == 0 && !n_fds && msg.type == VOLET_SIGNER_FAILED &&
		   msg_text_ok(msg.failed.text, sizeof(msg.failed.text))) {
		g_autofree char *escaped = g_strescape(msg.failed.text, "\"\\");

		text = g_strdup_printf("[volet] %s", escaped);
		give_up(signer, text);
	} else {
		give_up(signer, ret == -EPIPE ? "volet-sign is gone; volet-spawn's log may say why" :
						"volet-sign sent what is not in the protocol");
	}
	return G_SOURCE_CONTINUE;
}

/* Its channel says so too, after what it said last; when it never started, only this does. */
static void on_exited(void *owner, G_GNUC_UNUSED int status)
{
	struct signer *signer = owner;

	signer->child = 0;
}

/* Both paths as a file that nobody can change, or -1. */
static int paths_memfd(const struct volet_config *config)
{
	g_autofd int fd = memfd_create("paths", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	const char *const paths[] = { config->certificate, config->private_key };
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(paths); i++) {
		size_t size = strlen(paths[i]) + 1;

		if (fd < 0 || write(fd, paths[i], size) != (ssize_t)size)
			return -1;
	}
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -1;
	return g_steal_fd(&fd);
}

void signer_rotate(struct daemon *daemon)
{
	g_autofd int paths = -1;
	struct signer *signer;
	int pair[2];

	if (!daemon->config->rtsps_port)
		return;
	g_clear_handle_id(&daemon->signer_timer, g_source_remove);
	g_clear_pointer(&daemon->next_signer, signer_free);
	paths = paths_memfd(daemon->config);
	if (paths < 0 || msg_pair(pair) < 0) {
		say("volet-sign can't be started: %s", g_strerror(errno));
		return;
	}
	signer = g_new0(struct signer, 1);
	signer->daemon = daemon;
	signer->channel = pair[0];
	signer->child = starter_start(daemon, VOLET_PROGRAM_SIGN, 0, (const int[]){ pair[1], paths },
				      on_exited, signer);
	close(pair[1]);
	signer->watch = g_unix_fd_add(signer->channel, G_IO_IN, on_message, signer);
	daemon->next_signer = signer;
}

void signers_free(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->signer_timer, g_source_remove);
	g_clear_pointer(&daemon->signer, signer_free);
	g_clear_pointer(&daemon->next_signer, signer_free);
}

bool signer_connect(struct daemon *daemon, int channel)
{
	const struct volet_signer msg = { .type = VOLET_SIGNER_CONNECTION };

	if (!daemon->signer) {
		say("no volet-sign is ready: no TLS now");
		return false;
	}
	if (msg_send(daemon->signer->channel, &msg, sizeof(msg), &channel, 1) == 0)
		return true;
	give_up(daemon->signer, "volet-sign does not read its channel");
	return false;
}
