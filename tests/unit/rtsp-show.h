/* SPDX-License-Identifier: MIT */
/* One connection in a test: the false voletd, volet-rtsp, and a client. */
#ifndef VOLET_TEST_RTSP_SHOW_H
#define VOLET_TEST_RTSP_SHOW_H

#include "rtsp-client.h"

struct show {
	struct fake *fake;
	struct fake_session *session;
	struct client *client;
};

/* The programs under test, after show_init(); the second is NULL where there is none. */
extern const char *show_program, *show_unchecked_program;
void show_init(void);

struct show open_show(const struct fake_config *config);

/* The client goes, if it hasn't, and the program must have ended with this reason. */
struct fake_result close_show(struct show *show, enum volet_reason reason);

#endif
