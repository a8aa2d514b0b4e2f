/* SPDX-License-Identifier: MIT */
/*
 * crowd: a thousand viewers in one process. Each speaks RTSP over TCP with digest
 * authentication, takes RTP/JPEG apart, decodes every picture and reads its pixel tag, so
 * that what it counts is what would have been displayed. They come, stall, vanish and come
 * again at random, from a seed. See crowd.c for its use.
 */
#ifndef CROWD_H
#define CROWD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "tag.h"

/* What one viewer may see. */
struct right {
	char *viewer, *password, *camera;
	unsigned int number;		/* that the camera draws into its pictures */
};

/* How a viewer's connection comes to its end, or is tried on the way. */
enum fault {
	FAULT_TEARDOWN,			/* says so, as it should be */
	FAULT_CLOSE,			/* closes the connection, with data unread or not */
	FAULT_RESET,			/* resets it: its port is free at once */
	FAULT_DEAF,			/* reads no more, and never leaves */
	FAULT_STALL,			/* reads nothing for a while, then goes on */
	FAULT_ENDED,			/* the streamer ended it: the owner, a kill, the age limit */
	FAULTS
};

struct figures {
	uint64_t attempts, refused, failed, sessions, frames;
	uint64_t foreign, unreadable, no_signal, torn, early, disorder, broken, silent;
	uint64_t faults[FAULTS];
	uint64_t ssrc_again, id_again;	/* seen in a session before */
	uint64_t port_again;		/* a port taken over from another right's viewer within 1 s */
	GArray *rates;			/* double: frames a second of each longer session */
	GArray *first_ms;		/* double: connect() to the first picture */
	GHashTable *ssrcs, *ids;
};

/* A frame as it comes: packets of RFC 2435, then a JPEG of it. */
struct picture {
	GByteArray *scan;
	uint8_t head[8], tables[128];
	bool inside, lost;
};

enum picture_event { PICTURE_NONE, PICTURE_WHOLE, PICTURE_BROKEN };

struct crowd {
	const char *address;
	unsigned int port, ports_first, ports_count;	/* local ports, or none chosen */
	unsigned int width, height, life_ms, silent_ms;
	unsigned int cell;		/* of the tag; 0: the picture is a sensor's array, scaled */
	int64_t seconds;
	uint64_t want_frames, want_sessions;	/* it goes on until there are these, too */
	int epoll;
	GRand *rand;
	GArray *rights;			/* struct right */
	void *jpeg;			/* decompressor */
	uint8_t *luma;
	unsigned int opening;		/* viewers that are not playing yet */
	unsigned int opening_max;
	bool *port_taken;
	int64_t *port_left_ms;
	const struct right **port_of;
	struct figures figures;
};

struct viewer;

/* ---- crowd-viewer.c ---- */
struct viewer *viewer_new(struct crowd *crowd, const struct right *right, int64_t at_ms);
void viewer_free(struct viewer *viewer);

/* Its socket has something; its time has come. */
void viewer_event(struct viewer *viewer, int64_t now_ms);
void viewer_tick(struct viewer *viewer, int64_t now_ms);

/* No more: counted as they are. */
void viewer_leave(struct viewer *viewer, int64_t now_ms);

/* ---- crowd-rtsp.c ---- */

/* A request, with the credential when there is a nonce. Free it. */
char *rtsp_request(const char *method, const char *url, unsigned int cseq, const struct right *right,
		   const char *nonce, const char *session, const char *headers);

/* Of a whole message at the start of `data`: its size, or 0. */
size_t rtsp_size(const uint8_t *data, size_t n);

/* What follows `name` up to one of `end`, or NULL. Free it. */
char *rtsp_field(const char *message, const char *name, const char *end);

/* ---- crowd-picture.c ---- */
enum picture_event picture_packet(struct picture *picture, const uint8_t *rtp, size_t n);

/* Decode the whole frame into crowd->luma; false when it isn't a picture of the size. */
bool picture_decode(const struct picture *picture, struct crowd *crowd);

#endif
