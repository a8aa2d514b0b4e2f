/* SPDX-License-Identifier: MIT */
/* Is this frame the session's? Asked of every frame, before its payload is touched. */
#ifndef VOLET_SESSION_CHECK_H
#define VOLET_SESSION_CHECK_H

#include "memory.h"

/* What a frame is held against. */
struct session_rules {
	const struct volet_ctl_granted *grant;
	const struct session_memory *memory;
	uint64_t started_ns;		/* the newest START; 0 when frames were not asked for */
	bool restarted;			/* one was stopped: its frames may still come */
	uint64_t last_generation;
	uint32_t held;			/* bit i: slot i was announced and not released */
};

enum session_verdict {
	SESSION_FRAME_GOOD,
	SESSION_FRAME_LATE,		/* nobody's fault: release it and show nothing */
	SESSION_FRAME_WRONG		/* the session ends with .reason */
};

struct session_check {
	enum session_verdict verdict;
	enum volet_reason reason;
	char why[SESSION_WHY_MAX];
};

/* Are `session`, `camera` and `profile` what was granted? */
bool session_is_granted(const struct volet_ctl_granted *grant, const struct volet_id *session,
			const char *camera, const char *profile);

/* Check the announced frame `stamp` at the time `now_ns`. */
struct session_check session_check_frame(const struct session_rules *rules,
					 const struct volet_frame_stamp *stamp, uint64_t now_ns);

#endif
