// SPDX-License-Identifier: MIT
/* The process that opens the device; see opener.h. */
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "error.h"
#include "media.h"
#include "msg.h"
#include "sandbox.h"
#include "setup.h"

/* To wait for a device: the answer may be any time away, the peer's end is seen at once. */
#define FOR_EVER_MS	G_MAXINT

struct answer {
	gint32 errnum;
	char text[512];
};

static int open_node(struct media *media, const char *entity, const char *what, GError **error)
{
	g_autofree char *node = media_node(media, entity, error);
	int fd = node ? open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK) : -1;

	if (node && fd < 0)
		cam_error(error, errno,
			  "opening %s, the node of \"%s\"; give it to the group of volet-cam", node,
			  entity);
	if (fd < 0)
		g_prefix_error(error, "%s: ", what);
	return fd;
}

/* The node's descriptor, or -1 with an error. */
static int open_device(const struct volet_camera_config *config, GError **error)
{
	struct media *media = media_open(config->media, error);
	int node = -1;

	if (!media)
		return -1;
	if (setup_graph(media, config, error))
		node = open_node(media, config->capture, "capture", error);
	media_close(media);
	return node;
}

/*
 * A device that goes away may hold up whoever closes it last, for as long as the kernel takes to
 * end it. That is to be this process and not the one with the viewers: so what was sent stays
 * open here too, until the next time.
 */
static _Noreturn void serve(int sock, const struct volet_camera_config *config)
{
	int fds[MSG_FDS_MAX], kept = -1;
	struct answer answer;
	unsigned int n_fds;
	char again;

	while (msg_recv_wait(sock, &again, 1, fds, &n_fds, FOR_EVER_MS) == 0 && n_fds == 0) {
		g_autoptr(GError) error = NULL;

		if (kept >= 0)
			close(kept);
		memset(&answer, 0, sizeof(answer));
		kept = open_device(config, &error);
		if (error) {
			answer.errnum = error->code;
			g_strlcpy(answer.text, error->message, sizeof(answer.text));
		}
		msg_send(sock, &answer, sizeof(answer), &kept, kept >= 0);
	}
	_exit(0);
}

gboolean opener_start(struct opener *opener, const struct volet_camera_config *config, int bus,
		      GError **error)
{
	g_autoptr(GError) why = NULL;
	pid_t parent = getpid(), child;
	int pair[2];

	*opener = (struct opener){ .sock = -1 };
	if (msg_pair(pair) < 0)
		return cam_error(error, errno, "socketpair");
	child = fork();
	if (child < 0) {
		cam_error(error, errno, "fork");
		close(pair[0]);
		close(pair[1]);
		return FALSE;
	}
	if (child == 0) {
		close(pair[0]);
		close(bus);
		/* A name of its own: it is not the process of the camera. */
		if (prctl(PR_SET_NAME, "volet-opener") < 0 ||
		    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		if (!sandbox_opener(&why)) {
			cam_log(config->name, "%s", why->message);
			_exit(1);
		}
		serve(pair[1], config);
	}
	close(pair[1]);
	opener->sock = pair[0];
	return TRUE;
}

void opener_stop(struct opener *opener)
{
	if (opener->sock >= 0)
		close(opener->sock);
	opener->sock = -1;
}

gboolean opener_ask(struct opener *opener)
{
	if (!opener->asked && msg_send(opener->sock, "a", 1, NULL, 0))
		return FALSE;
	opener->asked = TRUE;
	return TRUE;
}

gboolean opener_answer(struct opener *opener, struct opened *opened, gboolean *have,
		       int timeout_ms)
{
	struct answer answer;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(opener->sock, &answer, sizeof(answer), fds, &n_fds, timeout_ms);

	*have = FALSE;
	if (ret == -ETIMEDOUT || ret == -EAGAIN)
		return TRUE;
	if (ret)
		return FALSE;
	*have = TRUE;
	opener->asked = FALSE;
	*opened = (struct opened){ .node = fds[0], .errnum = answer.errnum };
	memcpy(opened->text, answer.text, sizeof(opened->text));
	opened->text[sizeof(opened->text) - 1] = '\0';
	return TRUE;
}
