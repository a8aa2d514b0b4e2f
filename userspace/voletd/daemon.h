/* SPDX-License-Identifier: MIT */
/*
 * voletd decides who may see which camera, and ends it. It holds no frame and parses no
 * byte of the network: it gets fixed messages from session programs, cameras and volet-spawn,
 * and each is allowed in some states of its sender and ends the sender in all others.
 *
 *   main.c      start, signals, end          listener.c  connections are let in or refused
 *   session.c   a connection's life          grant.c     who it is, what it is given
 *   camera.c    a volet-cam's life           starter.c   the channel to volet-spawn
 *   report.c    lines of figures             sandbox.c   what voletd gives up
 *   reload.c    a new configuration          metrics.c   counters for Prometheus
 *   control.c   the owner's way in           owner.c     what the owner may ask
 *   tls.c       the TLS of a connection      signer.c    a volet-sign's life
 *   aide.c      a program beside a session's own
 *   udp.c       a session's RTP over UDP     ports.c     ports for it
 *   display.c   a volet-kms's life           consumer.c  local programs are let in
 *
 * All runs in one thread, from one main loop, and nothing waits for a peer.
 */
#ifndef VOLET_DAEMON_H
#define VOLET_DAEMON_H

#include <glib.h>
#include <stdbool.h>
#include "config.h"
#include "msg.h"
#include "nonce.h"
#include "outq.h"
#include "ports.h"
#include "sources.h"

enum listeners {
	LISTENER_RTSP,
	LISTENER_RTSPS,
	LISTENERS
};

struct listener {
	struct daemon *daemon;
	unsigned int port;
	bool tls;
	int fd;				/* -1: there is none */
	guint watch, pause;
};

/* Since the start, for the metrics. */
struct totals {
	uint64_t admitted, refused, granted;
	uint64_t denied[VOLET_DENIED_COUNT];
	uint64_t ended[VOLET_REASON_COUNT];	/* granted sessions */
};

struct daemon {
	struct volet_config *config;
	GMainLoop *loop;
	int exit_status;
	int64_t started_ns;

	int spawn;			/* channel to volet-spawn, -1 when it is gone */
	guint spawn_watch;
	uint32_t last_child;
	GHashTable *children;		/* struct child * by voletd's number for it */

	struct listener listeners[LISTENERS];
	struct signer *signer, *next_signer;	/* the one in use; one that isn't ready yet */
	bool signer_was_ready;
	guint signer_timer;
	struct sources sources;
	struct ports *ports;		/* of RTP over UDP */

	GPtrArray *cameras;		/* struct camera *, as in the configuration */
	GPtrArray *displays;		/* struct display * */
	int local;			/* the socket of local consumers, or -1 */
	guint local_watch;
	int64_t local_said_ns;		/* when a refusal was last in the log */
	GHashTable *sessions;		/* a set of struct session * */
	unsigned int granted;
	char nobody_ha1[33];		/* stands for an unknown viewer's */
	guint report;
	struct totals totals;
	struct control *control;	/* NULL: there is none */
	struct metrics *metrics;	/* the same */
};

/* `config` and `spawn` become the daemon's. */
struct daemon *daemon_new(struct volet_config *config, int spawn, GMainLoop *loop);

/* Ends every session and camera, in order. */
void daemon_free(struct daemon *daemon);

/* Leave the main loop with a failure. */
void daemon_fail(struct daemon *daemon, const char *why);

/* Take over the configuration as it is in the file now, or say why not. See reload.c. */
void daemon_reload(struct daemon *daemon, const char *path);

int64_t daemon_now_ns(void);

/*
 * A section of the configuration as a file that nobody can change, from its start; for the
 * program that it is of. `name` is seen in /proc only. -1 when it can't be made.
 */
int daemon_section(const char *name, const char *text);

/* One line to the log. Never a credential, a nonce or a response. */
void say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* ---- starter.c -------------------------------------------------------------------------- */

struct child {
	void *owner;
	void (*exited)(void *owner, int status);	/* once, also when it never started */
};

void starter_init(struct daemon *daemon, int spawn);
void starter_clear(struct daemon *daemon);

/* Ask for a program with these two descriptors (still the caller's). Returns its number, or 0. */
uint32_t starter_start(struct daemon *daemon, enum volet_program program, unsigned int index,
		       const int fds[2], void (*exited)(void *owner, int status), void *owner);
void starter_kill(struct daemon *daemon, uint32_t number);

/* Its owner doesn't want to know any more. */
void starter_forget(struct daemon *daemon, uint32_t number);

/* ---- listener.c ------------------------------------------------------------------------- */

void listener_init(struct daemon *daemon);
bool listener_open(struct daemon *daemon, GError **error);
void listener_close(struct daemon *daemon);

/* ---- camera.c --------------------------------------------------------------------------- */

enum camera_state {
	CAMERA_DOWN	= 1 << 0,	/* no process; one will be started */
	CAMERA_STARTING	= 1 << 1,
	CAMERA_READY	= 1 << 2,
	CAMERA_ENDING	= 1 << 3	/* killed, not yet waited for */
};

struct camera {
	struct daemon *daemon;
	const struct volet_camera_config *config;
	unsigned int index;
	enum camera_state state;
	int bus;
	uint32_t child;
	guint watch, timer;		/* timer: restart when DOWN, deadline when it lives */
	unsigned int backoff_ms;
	int64_t ready_ns;
	int64_t second_ns;		/* when `messages` began to count */
	unsigned int messages;
	struct volet_bus_stats stats;
	unsigned int granted;		/* sessions */
	uint64_t sent_frames;		/* by sessions that have ended */
	uint64_t failures;
};

struct camera *camera_new(struct daemon *daemon, const struct volet_camera_config *config,
			  unsigned int index);
void camera_start(struct camera *camera);
void camera_free(struct camera *camera);

/* Start again with this section, which lives as long as the camera. Its sessions have ended. */
void camera_change(struct camera *camera, const struct volet_camera_config *config);

/* Both end a camera that doesn't take the message. `frames` is still the caller's. */
bool camera_grant(struct camera *camera, const struct volet_bus_grant *grant, int frames);
void camera_end_session(struct camera *camera, const struct volet_id *session, uint32_t reason);

/* ---- session.c -------------------------------------------------------------------------- */

enum session_state {
	SESSION_ASKING	= 1 << 0,	/* holds nothing */
	SESSION_REFUSED	= 1 << 1,	/* has a moment left to say so to its viewer */
	SESSION_GRANTED	= 1 << 2
};

/* How it came, which is also how it says who it is. */
enum session_kind {
	SESSION_REMOTE	= 1 << 0,	/* over the network: by a credential */
	SESSION_DISPLAY	= 1 << 1,	/* volet-kms, started for a [display NAME] */
	SESSION_CONSUMER = 1 << 2	/* a local program: by its uid */
};

struct session {
	struct daemon *daemon;
	char peer[80];			/* address and port, for the log */
	enum session_kind kind;
	enum session_state state;
	int control, tcp;		/* tcp: a duplicate of what the program has; -1 of a local one */
	struct display *display;	/* of a SESSION_DISPLAY */
	int64_t heard_ns;		/* when its program last said something */
	uint32_t child;
	guint watch, deadline, tick;
	struct tls *tls;		/* of a connection to the RTSPS port; NULL for another */
	unsigned int messages;		/* since the last tick */

	struct source *source;		/* while it counts as unauthenticated */
	struct nonce nonce;
	unsigned int wrong;		/* credentials */
	unsigned int fruitless;		/* nonces and other denials since the last right answer */
	const struct volet_viewer_config *viewer;	/* once one was right */

	/* once granted */
	struct volet_id id;
	char camera_name[VOLET_NAME_MAX];
	char profile_name[VOLET_NAME_MAX];	/* a reload may change the configuration that it is of */
	uint64_t granted_ns;
	unsigned int age_limit_ms;	/* as granted: a reload doesn't change it */
	struct camera *camera;
	struct volet_ctl_sent sent;
	struct outq outq;
	struct udp *udp;		/* NULL: RTP goes in the connection */
};

/* Starts the session program for a connection; owns `tcp`. `source` was admitted. */
void session_new(struct daemon *daemon, int tcp, const char *peer, struct source *source);

/* The same for the RTSPS port: volet-tls is started, and the session program when it is open. */
void session_new_tls(struct daemon *daemon, int tcp, const char *peer, struct source *source);

/*
 * A local session on this control channel, which becomes its own; `local` is of the
 * configuration. It has no program until one is started.
 */
struct session *session_new_local(struct daemon *daemon, enum session_kind kind, int control,
				  const struct volet_local_config *local, const char *peer);

/* Starts volet-kms for a session on the other end of its channel, with its section. */
bool session_start_display(struct session *session, unsigned int index, int channel, int section);

/* Starts the session program on this byte stream (still the caller's); false when it can't. */
bool session_start_program(struct session *session, int stream);
void session_end(struct session *session, enum volet_reason reason);

/* The same once its program is gone, or is heard to be: what it said last may say why. */
void session_gone(struct session *session, enum volet_reason reason);
struct session *session_find(struct daemon *daemon, const struct volet_id *id);
void sessions_end_of_camera(struct camera *camera, enum volet_reason reason);

/* No more tries; it ends in a moment, in which its program can say so to the viewer. */
void session_refuse(struct session *session);

/* False when it couldn't be sent: the session is to be ended. */
bool session_answer(struct session *session, const struct volet_ctl *msg, const int *fd);

/* ---- display.c -------------------------------------------------------------------------- */

/* The displays of the configuration, each tried again and again while its camera is there. */
GPtrArray *displays_new(void);
void displays_start(struct daemon *daemon);
void displays_free(struct daemon *daemon);

/* The same with a new configuration: those that changed end, what the owner ended may start. */
void displays_reload(struct daemon *daemon, const struct volet_config *config);

/* Its session has ended. */
void display_ended(struct display *display);

/* The owner ends it: it stays dark until the configuration is read again. */
void display_stop(struct display *display);

/* ---- consumer.c ------------------------------------------------------------------------- */

bool consumers_open(struct daemon *daemon, const char *path, GError **error);
void consumers_close(struct daemon *daemon);

/* ---- aide.c ----------------------------------------------------------------------------- */

union aide_message {
	struct volet_tls tls;
	struct volet_udp udp;
};

/* Of struct tls or struct udp the first member. */
struct aide {
	struct session *session;
	enum volet_program program;
	const char *name;		/* for the log */
	size_t message_size;
	/* One message: why the session ends, or VOLET_REASON_NONE. It doesn't end it itself. */
	enum volet_reason (*take)(struct aide *aide, const union aide_message *msg);
	int channel;			/* -1 before and after */
	uint32_t child;
	guint watch;
};

/*
 * Start it with its first message and two descriptors with that; `extra` is its second one at
 * the start. All stay the caller's. False when it can't be started; aide_end() is right then too.
 */
bool aide_start(struct aide *aide, const void *first, const int first_fds[2], int extra);
void aide_end(struct aide *aide);

/* ---- tls.c ------------------------------------------------------------------------------ */

/* NULL when it can't be had now; then the reason is in the log. */
struct tls *tls_new(struct session *session);
void tls_free(struct tls *tls);

/* ---- udp.c ------------------------------------------------------------------------------ */

/* Answers a request now or when volet-udp is ready; why the session ends, or VOLET_REASON_NONE. */
enum volet_reason udp_ask(struct session *session, const struct volet_ctl *msg);

/* Not a byte more leaves, whatever waits in the queues of the programs. */
void udp_free(struct udp *udp);

/* ---- signer.c --------------------------------------------------------------------------- */

/*
 * Start a volet-sign with the files that the configuration names. It takes over from the one
 * in use when it is ready; until then, and if it never is, that one goes on. The first one of
 * all must become ready, or the daemon ends. Does nothing without an RTSPS port.
 */
void signer_rotate(struct daemon *daemon);
void signers_free(struct daemon *daemon);

/* Give it one end of a signature channel (still the caller's); false when there is none. */
bool signer_connect(struct daemon *daemon, int channel);

/* ---- grant.c ---------------------------------------------------------------------------- */

/* Each answers a request, and say why the session ends, or VOLET_REASON_NONE. */
enum volet_reason grant_give_nonce(struct session *session, const struct volet_ctl *msg);
enum volet_reason grant_authenticate(struct session *session, const struct volet_ctl *msg);
enum volet_reason grant_local(struct session *session, const struct volet_ctl *msg);

/* ---- report.c --------------------------------------------------------------------------- */

/* Also when the configuration changed. */
void report_start(struct daemon *daemon);

/* Frames sent by all sessions of a camera, and how late the newest one of each was at most. */
uint64_t report_frames_sent(const struct camera *camera, uint64_t *age_ns);

/* "0123...": a session id as text. */
void report_id(char text[33], const struct volet_id *id);

/* ---- sandbox.c -------------------------------------------------------------------------- */

/*
 * After everything was opened; only the files in the configuration's directory can be read
 * from then on. Exits when the kernel can't do what it must.
 */
void sandbox_enter(const char *config);

#endif
