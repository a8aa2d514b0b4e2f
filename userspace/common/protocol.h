/* SPDX-License-Identifier: MIT */
/*
 * Every message that crosses between two Volet processes, in one place.
 *
 * All channels are SOCK_SEQPACKET socket pairs on one machine, so messages are plain
 * structs in the machine's byte order. A message has the exact size of its channel's
 * struct or it is a protocol error, and a protocol error ends the peer: there is no
 * resynchronising and no optional field. Unused bytes are zero. Strings are
 * NUL-terminated inside their array; msg_text_ok() checks that.
 *
 *   control  a session program   <-> voletd      struct volet_ctl
 *   frames   a session program   <-> volet-cam   struct volet_frame
 *   bus      voletd              <-> volet-cam   struct volet_bus
 *   spawn    voletd              <-> volet-spawn struct volet_spawn
 *   tls      volet-tls           <-> voletd      struct volet_tls
 *   signer   voletd              <-> volet-sign  struct volet_signer
 *   signature  volet-tls         <-> volet-sign  struct volet_signature
 *   udp      volet-udp           <-> voletd      struct volet_udp
 *   packets  a session program   <-> volet-udp   struct volet_packet
 *
 * Times are CLOCK_MONOTONIC nanoseconds. Descriptors travel by SCM_RIGHTS with the message
 * that names them, and belong to the receiver from then on.
 */
#ifndef VOLET_PROTOCOL_H
#define VOLET_PROTOCOL_H

#include <stdint.h>

/* Descriptors a started program finds open; nothing else is (2 is the log). */
#define VOLET_FD_CONTROL	3	/* its control or bus channel */
#define VOLET_FD_EXTRA		4	/* session: the viewer's socket; others: configuration (sealed memfd) */

#define VOLET_NAME_MAX		32	/* camera, profile and viewer names, with the NUL: [A-Za-z0-9_-]+ */
#define VOLET_NONCE_MAX		40	/* digest nonce: hex and NUL */
#define VOLET_URI_MAX		512	/* digest uri as the client sent it */
#define VOLET_SLOTS_MAX		16
#define VOLET_DISPLAYS_MAX	8

/* 128 random bits; never an index, never reused. */
struct volet_id {
	uint8_t b[16];
};

/* Why a session or a frame ended. Names for logs: volet_reason_text(). */
enum volet_reason {
	VOLET_REASON_NONE,
	VOLET_REASON_CLIENT_GONE,	/* the viewer closed its connection or said TEARDOWN */
	VOLET_REASON_CREDENTIALS,	/* too many wrong credentials */
	VOLET_REASON_AUTH_TIMEOUT,	/* not granted in time */
	VOLET_REASON_PROTOCOL,		/* a message of wrong size, type or state */
	VOLET_REASON_STALE_SLOT,	/* a slot was released with another generation's number */
	VOLET_REASON_FOREIGN_FRAME,	/* a frame's identity is not the session's */
	VOLET_REASON_NO_FRAME,		/* the camera gave no frame in time */
	VOLET_REASON_TOO_OLD,		/* bytes waited in the socket past the age limit */
	VOLET_REASON_REBOUND,		/* asked for another viewer, camera or profile after the grant */
	VOLET_REASON_CAMERA_GONE,	/* volet-cam exited or lost its device */
	VOLET_REASON_PROGRAM_EXIT,	/* the session program exited or was killed */
	VOLET_REASON_OWNER,		/* ended by the owner or by a reload */
	VOLET_REASON_SHUTDOWN,
	VOLET_REASON_INTERNAL,
	VOLET_REASON_TLS,		/* no TLS where it is due, or a handshake that failed */
	VOLET_REASON_UDP,		/* the viewer's machine says that nobody is at the UDP port */
	VOLET_REASON_COUNT
};

/* ---- control: session program <-> voletd ------------------------------------------- */

enum volet_ctl_type {
	/* requests of a session program */
	VOLET_CTL_GET_NONCE = 1,	/* answered by NONCE; again once a nonce has expired */
	/*
	 * Answered by GRANTED (one descriptor: frames) or DENIED. Once granted, it can only
	 * confirm the same viewer, camera and profile (GRANTED without a descriptor); another
	 * ends the session.
	 */
	VOLET_CTL_AUTH,
	VOLET_CTL_SENT,			/* what was sent so far, once a second while granted; no answer */
	VOLET_CTL_LEAVE,		/* the program is about to exit; .end.reason says why */
	/*
	 * Once: RTP over UDP to .udp.client_port. Answered by UDP_OPEN (one descriptor: packets)
	 * or DENIED.
	 */
	VOLET_CTL_UDP,
	VOLET_CTL_LOCAL,		/* instead of the first two, of a local session: see .local */
	/* voletd's answers */
	VOLET_CTL_NONCE = 64,
	VOLET_CTL_GRANTED,
	VOLET_CTL_DENIED,
	VOLET_CTL_END,			/* stop now */
	VOLET_CTL_UDP_OPEN
};

enum volet_denied {
	VOLET_DENIED_CREDENTIALS = 1,	/* wrong or unknown viewer: one answer for both */
	VOLET_DENIED_STALE,		/* right form, expired or exhausted nonce: ask for another */
	VOLET_DENIED_NO_CAMERA,		/* camera or profile unknown, or not this viewer's: one answer */
	VOLET_DENIED_CAMERA_DOWN,	/* known and allowed, but gives no pictures now */
	VOLET_DENIED_LIMIT,		/* no more sessions */
	VOLET_DENIED_TRANSPORT,		/* RTP over UDP: not switched on, not on this connection, no port */
	VOLET_DENIED_COUNT
};

/*
 * RTSP digest (RFC 2069 form: MD5, no qop, which every RTSP client speaks):
 * response = MD5(HA1 ":" nonce ":" MD5(method ":" uri)), HA1 = MD5(viewer ":" realm ":" password).
 * The session program never sees HA1; voletd compares.
 */
#define VOLET_REALM "volet"

struct volet_ctl_auth {
	char viewer[VOLET_NAME_MAX];
	char camera[VOLET_NAME_MAX];	/* the first path component of the URL */
	char profile[VOLET_NAME_MAX];	/* the second, or "": the camera's first profile */
	char nonce[VOLET_NONCE_MAX];
	char response[33];
	char method[15];
	char uri[VOLET_URI_MAX];
};

/*
 * Who asks is known by how they came: a display was started by voletd, and the uid of who
 * connected to the local socket is the kernel's word. Answered as AUTH is, once.
 */
struct volet_ctl_local {
	char camera[VOLET_NAME_MAX];
	char profile[VOLET_NAME_MAX];	/* or "": the camera's first that is encoded */
};

struct volet_ctl_granted {
	struct volet_id session;
	char viewer[VOLET_NAME_MAX];
	char camera[VOLET_NAME_MAX];
	char profile[VOLET_NAME_MAX];	/* by its name, also when "" was asked for */
	uint64_t granted_ns;
	uint32_t age_limit_ms;
	uint32_t pad;
};

struct volet_ctl_sent {
	uint64_t frames;		/* handed to the socket */
	uint64_t bytes;
	uint64_t dropped;		/* too old, or no room */
	uint64_t last_age_ns;		/* capture to hand-over of the newest frame */
};

/* RTP's ports; RTCP's are the next ones up. Of the client's machine, which isn't asked for. */
struct volet_ctl_udp {
	uint16_t client_port;		/* even, from 1024 on */
	uint16_t server_port;		/* in the answer */
	uint32_t pad;
};

struct volet_ctl {
	uint32_t type;			/* enum volet_ctl_type */
	uint32_t pad;
	union {
		struct volet_ctl_auth auth;
		struct volet_ctl_local local;
		struct volet_ctl_granted granted;
		struct volet_ctl_sent sent;
		struct { char nonce[VOLET_NONCE_MAX]; } nonce;
		struct { uint32_t why; uint32_t tries_left; } denied;	/* enum volet_denied */
		struct { uint32_t reason; } end;			/* enum volet_reason */
		struct volet_ctl_udp udp;
	};
};

/* ---- frames: session program <-> volet-cam ------------------------------------------ */

enum volet_frame_type {
	/* First message of volet-cam, one descriptor: the session's memfd. A display's follows BUFFERS. */
	VOLET_FRAME_MEMORY = 1,
	VOLET_FRAME_READY,	/* a slot holds a frame */
	VOLET_FRAME_END,	/* no more frames; .end.reason */
	/* of the session program */
	VOLET_FRAME_START = 64,	/* send frames captured from now on */
	VOLET_FRAME_STOP,	/* send none until the next START */
	VOLET_FRAME_RELEASE,	/* .release: the slot may be written again */
	VOLET_FRAME_NEED_KEY,	/* a frame was lost on the way: none until the next key frame */
	VOLET_FRAME_BUFFERS	/* a display's first, .buffers.n descriptors: DMA-bufs of its own to fill */
};

enum volet_codec {
	VOLET_CODEC_JPEG = 1,	/* every frame is a key frame */
	VOLET_CODEC_H264,	/* Annex B, an access unit a frame, parameter sets in each key frame */
	VOLET_CODEC_XRGB,	/* DRM's XRGB8888: bytes B, G, R, 255; lines of width * 4; local sessions only */
	/* The same in the buffers that the session handed up: its slots hold stamps alone. */
	VOLET_CODEC_XRGB_HANDED,
	VOLET_CODEC_FWHT	/* of the kernel's vicodec: in test builds alone, and no session takes it */
};

/* What is shown, what waits for its turn, and what is being filled: one more than enough for none. */
#define VOLET_BUFFERS_MAX	3

/* Where a picture is in each: its first pixel at `offset`, a line every `pitch` bytes. */
struct volet_frame_buffers {
	uint32_t n;		/* 0: none can be had, or is wanted; frames are to come in the memory */
	uint32_t width, height;	/* pixels: those of the granted profile */
	uint32_t pitch;
	uint64_t offset, size;	/* bytes; size as lseek(2) says it */
};

#define VOLET_PARAMETERS_MAX	120

struct volet_frame_memory {
	struct volet_id session;
	char camera[VOLET_NAME_MAX];
	char profile[VOLET_NAME_MAX];
	uint32_t slots;
	uint32_t slot_size;	/* bytes, a multiple of the page size; slot i is at i * slot_size */
	uint32_t codec;		/* enum volet_codec */
	uint32_t width, height;	/* pixels */
	/* H.264: SPS and PPS in Annex B, which say nothing of any picture. */
	uint32_t n_parameters;
	uint8_t parameters[VOLET_PARAMETERS_MAX];
};

/*
 * Stamped when the frame left the capture queue, never from the session it goes to. The
 * same struct stands at the start of the slot, and the payload at VOLET_SLOT_PAYLOAD; a
 * session program compares both, and both with its grant, before it touches the payload.
 * Bytes of the slot after the payload are zero.
 */
struct volet_frame_stamp {
	struct volet_id session;
	char camera[VOLET_NAME_MAX];
	char profile[VOLET_NAME_MAX];
	uint64_t generation;	/* of this use of the slot; from 1, never repeated in a session */
	uint64_t captured_ns;	/* the capture buffer's time stamp */
	uint64_t sequence;	/* the capture queue's sequence number */
	uint32_t slot;
	uint32_t length;	/* payload bytes */
	uint32_t flags;		/* VOLET_STAMP_... */
	uint32_t pad;
};

/*
 * Decoding can begin here. Where it isn't set the frame is a difference to the one given
 * before: whoever lost that one paints wrong pixels, and gets none until the next key frame.
 */
#define VOLET_STAMP_KEY		1u
#define VOLET_STAMP_GENERATED	2u	/* no camera saw this: a picture that says what is wrong */

#define VOLET_SLOT_PAYLOAD	128

struct volet_frame {
	uint32_t type;
	uint32_t pad;
	union {
		struct volet_frame_memory memory;
		struct volet_frame_stamp ready;
		struct volet_frame_buffers buffers;
		struct { uint64_t generation; uint32_t slot; uint32_t pad; } release;
		struct { uint32_t reason; } end;
	};
};

/* ---- bus: voletd <-> volet-cam ------------------------------------------------------- */

enum volet_bus_type {
	VOLET_BUS_GRANT = 1,	/* voletd, one descriptor: volet-cam's end of the frames channel */
	VOLET_BUS_END,		/* voletd: drop that session's memory now */
	/* of volet-cam */
	VOLET_BUS_READY = 64,	/* it serves sessions; what the device does is told by SIGNAL */
	VOLET_BUS_STATS,	/* once a second */
	VOLET_BUS_SESSION,	/* once a second a session and at its end: what it was given */
	VOLET_BUS_FAILED,	/* it can't go on; .failed.text says what to do. It exits. */
	VOLET_BUS_SIGNAL	/* the device has failed, or is well again */
};

/* How the device is. All but NONE and LIVE are faults; viewers get a picture that says it. */
enum volet_signal {
	VOLET_SIGNAL_NONE,	/* nobody watches, and no fault is known */
	VOLET_SIGNAL_LIVE,
	VOLET_SIGNAL_UNPLUGGED,	/* the device, or the sensor of it, is not there */
	VOLET_SIGNAL_BUSY,	/* another program streams from it */
	VOLET_SIGNAL_SETTINGS,	/* it can't be set up as the configuration says */
	VOLET_SIGNAL_STALLED,	/* no frame comes */
	VOLET_SIGNAL_BROKEN,	/* only frames come that are marked as errors, or are short */
	VOLET_SIGNAL_COUNT
};

enum volet_memory {
	VOLET_MEMORY_UDMABUF = 1,	/* own pages, imported: other openers of the node see nothing */
	VOLET_MEMORY_MMAP,		/* the node's own buffers: any opener of the node can map them */
	VOLET_MEMORY_OWN,		/* no device: the frames are generated */
	VOLET_MEMORY_HEAP		/* as UDMABUF, of contiguous pages */
};

struct volet_bus_grant {
	struct volet_id session;
	char viewer[VOLET_NAME_MAX];
	char camera[VOLET_NAME_MAX];	/* volet-cam refuses a grant for a camera that it is not */
	char profile[VOLET_NAME_MAX];	/* ... and for a profile that it doesn't have */
	uint64_t granted_ns;
	uint32_t age_limit_ms;
	uint32_t flags;			/* VOLET_GRANT_... */
};

#define VOLET_GRANT_DISPLAY	1u	/* BUFFERS comes first: it may hand up buffers */

struct volet_bus_stats {
	uint64_t captured;	/* buffers dequeued */
	uint64_t encoded;
	uint64_t errors;	/* buffers with the ERROR flag or no payload: dropped */
	uint64_t late;		/* dropped by the age limit before encoding */
	uint64_t last_captured_ns;
	uint64_t capture_ns;	/* time stamp to dequeue, newest frame */
	uint64_t encode_ns;	/* time of the newest encode */
	uint32_t memory;	/* enum volet_memory, 0 when not streaming */
	uint32_t sessions;
	uint32_t streaming;
	uint32_t signal;	/* enum volet_signal */
	uint64_t generated;	/* pictures that said what is wrong */
};

struct volet_bus_session {
	struct volet_id session;
	uint64_t frames, bytes;
	uint64_t lost;		/* no free slot: the session's own loss */
	uint64_t first_captured_ns, last_captured_ns;
	uint32_t ended;		/* enum volet_reason; VOLET_REASON_NONE while it lives */
	uint32_t pad;
};

struct volet_bus {
	uint32_t type;
	uint32_t pad;
	union {
		struct volet_bus_grant grant;
		struct { struct volet_id session; uint32_t reason; } end;
		struct { char camera[VOLET_NAME_MAX]; uint32_t width, height; } ready;
		struct volet_bus_stats stats;
		struct volet_bus_session session;
		struct { char text[256]; } failed;
		struct { uint32_t signal; char text[252]; } signal;	/* text: of a fault */
	};
};

/* ---- tls: volet-tls <-> voletd -------------------------------------------------------- */

enum volet_tls_type {
	/* voletd, once, two descriptors: a signature channel, the session program's byte stream */
	VOLET_TLS_START = 1,
	/* of volet-tls */
	VOLET_TLS_OPEN = 64,	/* the handshake is done; only now a session program is started */
	VOLET_TLS_LEAVE		/* about to exit; .end.reason says why */
};

struct volet_tls {
	uint32_t type;
	uint32_t pad;
	union {
		struct { char version[16]; char cipher[48]; } open;
		struct { uint32_t reason; } end;	/* enum volet_reason */
	};
};

/* ---- signer: voletd <-> volet-sign ---------------------------------------------------- */

enum volet_signer_type {
	VOLET_SIGNER_CONNECTION = 1,	/* voletd, one descriptor: volet-sign's end of a signature channel */
	/* of volet-sign */
	VOLET_SIGNER_READY = 64,	/* certificate and key are there and belong together */
	VOLET_SIGNER_FAILED		/* .failed.text says what to do. It exits. */
};

struct volet_signer {
	uint32_t type;
	uint32_t pad;
	union {
		struct { char text[512]; } failed;
	};
};

/* What VOLET_FD_EXTRA of volet-sign has, and nothing else: two absolute paths with their NULs. */
#define VOLET_SIGNER_PATHS_MAX	2048	/* certificate, then private key */

/* ---- signature: volet-tls <-> volet-sign ---------------------------------------------- */

/*
 * One channel for each TLS connection, and one signature on each channel: after the answer,
 * or anything that isn't the one question allowed, volet-sign closes it.
 */
enum volet_signature_type {
	VOLET_SIGNATURE_CERTIFICATE = 1,	/* volet-sign, first, one descriptor: PEM chain (sealed memfd) */
	VOLET_SIGNATURE_DONE,			/* .data: ECDSA signature, DER */
	VOLET_SIGNATURE_REQUEST = 64		/* volet-tls; .data: what a TLS server signs, not its digest */
};

struct volet_signature {
	uint32_t type;
	uint32_t length;
	uint8_t data[256];
};

/* ---- udp: volet-udp <-> voletd -------------------------------------------------------- */

enum volet_udp_type {
	/* voletd, once, two descriptors: the sockets of RTP and RTCP, connected to the viewer */
	VOLET_UDP_START = 1,
	/* of volet-udp */
	VOLET_UDP_READY = 64,	/* it has shut itself in; only now its packets channel is given away */
	VOLET_UDP_LEAVE		/* about to exit; .end.reason says why */
};

struct volet_udp {
	uint32_t type;
	uint32_t pad;
	union {
		struct { uint32_t reason; } end;	/* enum volet_reason */
	};
};

/* ---- packets: session program <-> volet-udp ------------------------------------------- */

enum volet_packet_type {
	/* of the session program */
	VOLET_PACKET_RTP = 1,
	VOLET_PACKET_RTCP,
	/* of volet-udp, once a second at most, without data: the viewer has sent a report */
	VOLET_PACKET_HEARD = 64
};

#define VOLET_PACKET_MAX	1400	/* bytes: what fits into a datagram on any usual network */

struct volet_packet {
	uint32_t type;
	uint32_t length;		/* of the data */
	uint64_t expires_ns;		/* not sent after this time */
	uint8_t data[VOLET_PACKET_MAX];
};

/* ---- spawn: voletd <-> volet-spawn --------------------------------------------------- */

enum volet_program {
	VOLET_PROGRAM_CAM = 1,	/* two descriptors: bus channel, configuration */
	VOLET_PROGRAM_RTSP,	/* two descriptors: control channel, the viewer's socket */
	VOLET_PROGRAM_TLS,	/* two descriptors: tls channel, the viewer's socket */
	VOLET_PROGRAM_SIGN,	/* two descriptors: signer channel, paths (sealed memfd) */
	VOLET_PROGRAM_UDP,	/* two descriptors: udp channel, packets channel */
	VOLET_PROGRAM_KMS	/* two descriptors: control channel, its section (sealed memfd) */
};

enum volet_spawn_type {
	VOLET_SPAWN_START = 1,	/* voletd: .id is voletd's own number for the child, > 0 */
	VOLET_SPAWN_KILL,	/* voletd: SIGKILL that child */
	VOLET_SPAWN_STARTED = 64,
	VOLET_SPAWN_EXITED	/* also when it couldn't be started; .status is wait(2)'s */
};

struct volet_spawn {
	uint32_t type;
	uint32_t program;	/* enum volet_program, in START */
	uint32_t id;
	uint32_t index;		/* in START of a camera or display: which of their uids */
	int32_t pid;
	uint32_t uid;
	int32_t status;
	uint32_t pad;
};

#endif
