// SPDX-License-Identifier: MIT
/* RTSPS as players speak it: volet-tls before volet-rtsp, with the test as voletd and camera. */
#include <glib.h>
#include <signal.h>
#include <string.h>

#include "players.h"
#include "tls-bench.h"

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

/* The line has $CA as well. */
static char *play(struct tls_bench *bench, const char *line, int *status, struct fake_result *result)
{
	struct front front = { .bench = bench };
	const struct fake_config config = {
		.program = tls_bench_program("VOLET_RTSP", "volet-rtsp"),
		.front = put_tls, .front_data = &front,
	};
	g_autofree char *with_ca = g_strdup_printf("CA=%s; %s", bench->certificate, line);
	char *out = players_run(&config, "rtsps://alice:right", with_ca, status, result);

	tls_end_free(&front.end);
	return out;
}

#define FFMPEG(verify) "timeout -k 1 60 ffmpeg -nostdin -v error " verify " -rtsp_transport tcp " \
	"-i $URL -fps_mode passthrough -frames:v 15 -f framemd5 -"

#define GSTREAMER(flags) "timeout -k 1 60 gst-launch-1.0 -v rtspsrc location=$URL protocols=tcp " \
	flags " ! rtpjpegdepay ! jpegdec ! identity eos-after=15 silent=false ! fakesink"

static void test_ffmpeg(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!players_have("ffmpeg"))
		return;
	bench = tls_bench_new();
	out = play(bench, FFMPEG(""), &status, &result);
	players_assert_shown(players_count(out, ",", ' '), status, &result);
	tls_bench_free(bench);
}

static void test_gstreamer(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!players_have("gst-launch-1.0"))
		return;
	bench = tls_bench_new();
	/* It has no option for a certificate of one's own, so its check is off here. */
	out = play(bench, GSTREAMER("tls-validation-flags=0"), &status, &result);
	g_assert_cmpuint(players_count(out, "chain", '('), >=, PLAYERS_PICTURES - 1);
	g_assert_cmpint(players_gstreamer_status(out), ==, 0);
	tls_bench_free(bench);
}

/* The certificate is checked, with its name, by a client that can. */
static void test_s_client(void)
{
	struct tls_bench *bench;
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!players_have("openssl"))
		return;
	bench = tls_bench_new();
	/* It ends with its input, and that with the answer. */
	out = play(bench, "HOST=${URL#*@}; OUT=${CA%/*}/out; { printf 'OPTIONS * RTSP/1.0\\r\\nCSeq: 1\\r\\n\\r\\n';"
		   " for i in $(seq 300); do grep -qs 'RTSP/1.0 200' $OUT && break; sleep 0.2; done; } |"
		   " openssl s_client -connect ${HOST%/*} -CAfile $CA -verify_return_error -verify_ip 127.0.0.1"
		   " >$OUT 2>&1; cat $OUT; rm $OUT", &status, &result);
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
