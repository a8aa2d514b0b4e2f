// SPDX-License-Identifier: MIT
/* RTSPS as players speak it: volet-tls before volet-rtsp, with the test as voletd and camera. */
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "fake.h"
#include "tls-bench.h"

#define PICTURES 15

struct front {
	struct tls_bench *bench;
	struct tls_end end;
};

/* As voletd does it: the session program gets its stream once the handshake is done. */
static int put_tls(void *data, int tcp)
{
	struct front *front = data;
	int stream;

	front->end = tls_bench_accept(front->bench, tcp);
	g_assert_cmpuint(tls_end_hear(&front->end).type, ==, VOLET_TLS_OPEN);
	stream = front->end.stream;
	front->end.stream = -1;
	return stream;
}

static gpointer one_session(gpointer fake)
{
	struct fake_result *result = g_new(struct fake_result, 1);

	*result = fake_wait(fake_accept(fake));
	return result;
}

static bool have(const char *name)
{
	g_autofree char *path = g_find_program_in_path(name);

	if (!path)
		g_test_skip_printf("%s is not installed", name);
	return path != NULL;
}

/* Run a shell line with $URL and $CA on one session; what it printed. */
static char *play(struct tls_bench *bench, const char *line, int *status, struct fake_result *result)
{
	struct front front = { .bench = bench };
	struct fake *fake = fake_new(&(struct fake_config){
		.program = tls_bench_program("VOLET_RTSP", "volet-rtsp"),
		.front = put_tls, .front_data = &front,
	});
	GThread *thread = g_thread_new("session", one_session, fake);
	g_autofree char *text = g_strdup_printf("URL=rtsps://alice:right@127.0.0.1:%u/cam0 CA=%s; %s",
						fake_port(fake), bench->certificate, line);
	g_autofree struct fake_result *got = NULL;
	g_autoptr(GError) error = NULL;
	char *out = NULL;

	if (!g_spawn_sync(NULL, (char *[]){ (char *)"sh", (char *)"-c", text, NULL }, NULL,
			  G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, status, &error))
		g_error("%s", error->message);
	got = g_thread_join(thread);
	*result = *got;
	if (g_test_verbose())
		g_test_message("status %x: %s", result->status, result->log);
	g_free(result->log);
	fake_free(fake);
	tls_end_free(&front.end);
	return out;
}

/* Distinct ends, from the last `from` on, of lines with `mark`: each tells a decoded picture. */
static unsigned int count_pictures(const char *out, const char *mark, char from)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
	int i;

	for (i = 0; lines[i]; i++) {
		if (strstr(lines[i], mark) && strrchr(lines[i], from) && lines[i][0] != '#')
			g_hash_table_add(seen, g_strdup(strrchr(lines[i], from)));
	}
	return g_hash_table_size(seen);
}

#define FFMPEG(verify) "timeout -k 1 20 ffmpeg -nostdin -v error " verify " -rtsp_transport tcp " \
	"-i $URL -fps_mode passthrough -frames:v 15 -f framemd5 -"

#define GSTREAMER(flags) "timeout -k 1 20 gst-launch-1.0 -v rtspsrc location=$URL protocols=tcp " \
	flags " ! rtpjpegdepay ! jpegdec ! identity eos-after=15 silent=false ! fakesink"

static void test_ffmpeg(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!have("ffmpeg"))
		return;
	bench = tls_bench_new();
	out = play(bench, FFMPEG(""), &status, &result);
	g_assert_cmpuint(count_pictures(out, ",", ' '), >=, PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpuint(result.reason, ==, VOLET_REASON_CLIENT_GONE);
	tls_bench_free(bench);
}

static void test_gstreamer(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!have("gst-launch-1.0"))
		return;
	bench = tls_bench_new();
	/* It has no option for a certificate of one's own, so its check is off here. */
	out = play(bench, GSTREAMER("tls-validation-flags=0"), &status, &result);
	g_assert_cmpuint(count_pictures(out, "chain", '('), >=, PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	tls_bench_free(bench);
}

/* The certificate is checked, with its name, by a client that can. */
static void test_s_client(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!have("openssl"))
		return;
	bench = tls_bench_new();
	out = play(bench, "HOST=${URL#*@}; { printf 'OPTIONS * RTSP/1.0\\r\\nCSeq: 1\\r\\n\\r\\n'; sleep 2; } |"
		   " openssl s_client -connect ${HOST%/*} -CAfile $CA -verify_return_error -verify_ip 127.0.0.1"
		   " -ign_eof 2>&1 & sleep 4; kill $! 2>/dev/null; wait", &status, &result);
	if (!strstr(out, "Verify return code: 0 (ok)") || !strstr(out, "RTSP/1.0 200") ||
	    strstr(out, "New Session Ticket arrived"))
		g_error("s_client: %s", out);
	g_assert_false(result.granted);
	tls_bench_free(bench);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	g_test_add_func("/rtsps/ffmpeg", test_ffmpeg);
	g_test_add_func("/rtsps/gstreamer", test_gstreamer);
	g_test_add_func("/rtsps/s_client", test_s_client);
	return g_test_run();
}
