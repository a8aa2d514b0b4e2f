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

/*
 * The heap of the kernel's default area of contiguous memory, by the names that it has had: after
 * the command line or Kconfig, after the device tree's node, and since 6.17.
 */
static int open_heap(void)
{
	static const char *const names[] = {
		"/dev/dma_heap/reserved", "/dev/dma_heap/linux,cma",
		"/dev/dma_heap/default_cma_region",
	};
	int fd = -1;
	guint i;

	for (i = 0; fd < 0 && i < G_N_ELEMENTS(names); i++)
		fd = open(names[i], O_RDONLY | O_CLOEXEC);
	return fd;
}

/* What this process has open, for as long as the device is. */
struct device {
	int node, heap;
	struct sensor sensor;
};

static void close_device(struct device *dev)
{
	if (dev->node >= 0)
		close(dev->node);
	dev->node = -1;
	sensor_close(&dev->sensor);
}

static gboolean open_device(const struct volet_camera_config *config, struct device *dev,
			    struct sensor_light *light, GError **error)
{
	struct media *media = media_open(config->media, error);

	if (!media)
		return FALSE;
	if (setup_graph(media, config, error) &&
	    sensor_open(&dev->sensor, media, config, light, error))
		dev->node = open_node(media, config->capture, "capture", error);
	media_close(media);
	if (dev->node >= 0 && dev->heap < 0)
		dev->heap = open_heap();
	if (dev->node < 0)
		sensor_close(&dev->sensor);
	return dev->node >= 0;
}

/*
 * A device that goes away may hold up whoever closes it last, for as long as the kernel takes to
 * end it. That is to be this process and not the one with the viewers: so what was sent stays
 * open here too, until the next time.
 */
static _Noreturn void serve(int sock, const struct volet_camera_config *config)
{
	struct device dev = { .node = -1, .heap = -1, .sensor = { .fd = -1, .isp = -1 } };
	struct opener_question question;
	struct opener_answer answer;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	while (msg_recv_wait(sock, &question, sizeof(question), fds, &n_fds, FOR_EVER_MS) == 0 &&
	       n_fds == 0) {
		gboolean opens = question.what == OPENER_OPEN;
		g_autoptr(GError) error = NULL;

		memset(&answer, 0, sizeof(answer));
		answer.what = question.what;
		if (opens) {
			close_device(&dev);
			open_device(config, &dev, &answer.light, &error);
		} else {
			answer.values = question.values;
			sensor_set(&dev.sensor, &answer.values, &error);
		}
		if (error) {
			answer.errnum = error->code;
			g_strlcpy(answer.text, error->message, sizeof(answer.text));
		}
		fds[0] = dev.node;
		fds[1] = dev.heap;
		msg_send(sock, &answer, sizeof(answer), fds,
			 opens && dev.node >= 0 ? 1 + (dev.heap >= 0) : 0);
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
	const struct opener_question question = { .what = OPENER_OPEN };

	if (!opener->asked && msg_send(opener->sock, &question, sizeof(question), NULL, 0))
		return FALSE;
	opener->asked = TRUE;
	return TRUE;
}

gboolean opener_set(struct opener *opener, const struct sensor_values *values)
{
	const struct opener_question question = { .what = OPENER_SET, .values = *values };

	if (opener->asked || opener->setting ||
	    msg_send(opener->sock, &question, sizeof(question), NULL, 0))
		return FALSE;
	opener->setting = TRUE;
	return TRUE;
}

gboolean opener_answer(struct opener *opener, struct opener_answer *answer,
		       struct opener_files *files, gboolean *have, int timeout_ms)
{
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(opener->sock, answer, sizeof(*answer), fds, &n_fds, timeout_ms);

	*have = FALSE;
	*files = (struct opener_files){ .node = -1, .heap = -1 };
	if (ret == -ETIMEDOUT || ret == -EAGAIN)
		return TRUE;
	if (ret)
		return FALSE;
	*have = TRUE;
	files->node = fds[0];
	files->heap = fds[1];
	if (answer->what == OPENER_OPEN)
		opener->asked = FALSE;
	else
		opener->setting = FALSE;
	answer->text[sizeof(answer->text) - 1] = '\0';
	answer->light.exposure_note[SENSOR_NOTE_MAX - 1] = '\0';
	answer->light.balance_note[SENSOR_NOTE_MAX - 1] = '\0';
	return TRUE;
}
