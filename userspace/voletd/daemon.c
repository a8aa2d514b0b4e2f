// SPDX-License-Identifier: MIT
/* The whole of voletd's state, made and ended; see daemon.h. */
#include "daemon.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "digest.h"
#include "kernel.h"
#include "metrics.h"

int64_t daemon_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int daemon_section(const char *name, const char *text)
{
	size_t len = strlen(text);
	unsigned int no_exec = kernel_has(KERNEL_MEMFD_NOEXEC) ? MFD_NOEXEC_SEAL : 0;
	g_autofd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | no_exec);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -1;
	return g_steal_fd(&fd);
}

struct daemon *daemon_new(struct volet_config *config, int spawn, GMainLoop *loop)
{
	struct daemon *daemon = g_new0(struct daemon, 1);
	unsigned int i;

	daemon->config = config;
	daemon->loop = loop;
	daemon->local = -1;
	listener_init(daemon);
	daemon->started_ns = daemon_now_ns();
	daemon->cameras = g_ptr_array_new_with_free_func((GDestroyNotify)camera_free);
	daemon->displays = displays_new();
	daemon->sessions = g_hash_table_new(NULL, NULL);
	sources_init(&daemon->sources);
	daemon->ports = g_new0(struct ports, 1);
	starter_init(daemon, spawn);
	for (i = 0; i < config->cameras->len; i++)
		g_ptr_array_add(daemon->cameras, camera_new(daemon, config->cameras->pdata[i], i));
	if (!digest_works() || !digest_random_hex(daemon->nobody_ha1, 16))
		daemon_fail(daemon, "no MD5, which RTSP's authentication needs, or no random numbers");
	return daemon;
}

void daemon_free(struct daemon *daemon)
{
	GHashTableIter iter;
	gpointer session;

	listener_close(daemon);
	consumers_close(daemon);
	displays_free(daemon);
	signers_free(daemon);
	control_close(daemon->control);
	metrics_close(daemon->metrics);
	g_clear_handle_id(&daemon->report, g_source_remove);
	/* One end may bring about others, so each time from the beginning. */
	for (;;) {
		g_hash_table_iter_init(&iter, daemon->sessions);
		if (!g_hash_table_iter_next(&iter, &session, NULL))
			break;
		session_end(session, VOLET_REASON_SHUTDOWN);
	}
	g_ptr_array_unref(daemon->cameras);
	starter_clear(daemon);
	g_hash_table_unref(daemon->sessions);
	sources_clear(&daemon->sources);
	g_free(daemon->ports);
	config_free(daemon->config);
	g_free(daemon);
}

void daemon_fail(struct daemon *daemon, const char *why)
{
	say("%s", why);
	daemon->exit_status = 1;
	g_main_loop_quit(daemon->loop);
}
