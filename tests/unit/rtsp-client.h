/* SPDX-License-Identifier: MIT */
/* An RTSP client for tests, as wrong as a test wants it to be. It takes RTP/JPEG apart. */
#ifndef VOLET_TEST_RTSP_CLIENT_H
#define VOLET_TEST_RTSP_CLIENT_H

#include <stdbool.h>
#include <glib.h>
#include "fake.h"

/* For what comes at once, on a machine that is emulated and busy. */
#define TIMEOUT_MS 15000

struct client {
	int fd;
	char *url;		/* rtsp://127.0.0.1:PORT/cam0 */
	unsigned int cseq;
	char *session, *nonce;	/* of the newest responses that had one */
	bool stale, gone;
	size_t read_max;	/* bytes to read at once; 0: as they come */
	uint64_t received;	/* bytes */
	bool h264;		/* what comes is RTP/H.264: frames have no scan */
	GByteArray *in;
	GArray *frames;		/* struct client_frame, whole ones, in order */
	unsigned int broken;	/* frames with a gap, or without an end */
	unsigned int next_offset;
	bool inside;
};

struct client_frame {
	struct fake_scan scan;
	unsigned int bytes;	/* of the scan, or of H.264's payloads */
	unsigned int unit;	/* of H.264: the type of the first NAL unit */
	uint32_t rtp_time;
	uint64_t received_ns;
};

struct client *client_new(unsigned int port, const char *camera);
void client_free(struct client *client);

/* Bytes as they are. */
void client_send(struct client *client, const char *bytes, gssize n);

/*
 * A request with more headers (each ended by \r\n) or NULL; the response's status, 0 when
 * the connection ended instead, -1 after `timeout_ms`. The response itself in `text`, when
 * that isn't NULL.
 */
int client_request(struct client *client, const char *method, const char *url,
		   const char *headers, int timeout_ms, char **text);
int client_response(struct client *client, int timeout_ms, char **text);

/* "Authorization: ...\r\n" for the nonce seen last. Free it. */
char *client_authorization(struct client *client, const char *viewer, const char *password,
			   const char *method, const char *url);

/* DESCRIBE without and with credentials, SETUP, PLAY; each must be 200. */
void client_describe(struct client *client);
void client_setup(struct client *client);
void client_play(struct client *client);

/* Read once what is there. */
void client_read_some(struct client *client);

/* Read until there are `n` whole frames, the end, or the time is over. */
void client_read_frames(struct client *client, unsigned int n, int timeout_ms);

/* The connection's end within the time. */
bool client_wait_gone(struct client *client, int timeout_ms);

#endif
