// SPDX-License-Identifier: MIT
/* Serve connections with volet-rtsp by hand, without voletd or a camera: see fake.h. */
#include <stdio.h>
#include <stdlib.h>
#include "fake.h"

static gpointer wait_for(gpointer data)
{
	struct fake_result r = fake_wait(data);

	printf("%sstatus %#x, reason %u, starts %u, announced %u, sent %lu, dropped %lu\n", r.log,
	       r.status, r.reason, r.starts, r.announced, r.sent.frames, r.sent.dropped);
	g_free(r.log);
	return NULL;
}

int main(int argc, char **argv)
{
	struct fake_config config = { .program = argc > 1 ? argv[1] : "volet-rtsp" };
	struct fake *fake;
	unsigned int n = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;

	config.fault = argc > 3 ? (enum fake_fault)atoi(argv[3]) : FAKE_GOOD;
	config.frame_bytes = argc > 4 ? (unsigned int)atoi(argv[4]) : 0;
	fake = fake_new(&config);
	printf("rtsp://alice:right@127.0.0.1:%u/cam0\n", fake_port(fake));
	fflush(stdout);
	while (n--) {
		struct fake_session *s = fake_accept(fake);

		printf("pid %d\n", (int)fake_pid(s));
		fflush(stdout);
		if (n)
			g_thread_unref(g_thread_new(NULL, wait_for, s));
		else
			wait_for(s);
	}
	fake_free(fake);
	return 0;
}
