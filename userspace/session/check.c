// SPDX-License-Identifier: MIT
/*
 * Is this frame the session's? The message, the slot's own header and the grant must all
 * say the same; a session program trusts no single one of them (see check.h).
 */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct session_check verdict(enum session_verdict v, enum volet_reason reason,
				    const char *format, ...) __attribute__((format(printf, 3, 4)));

static struct session_check verdict(enum session_verdict v, enum volet_reason reason,
				    const char *format, ...)
{
	struct session_check check = { .verdict = v, .reason = reason };
	va_list args;

	va_start(args, format);
	vsnprintf(check.why, sizeof(check.why), format, args);
	va_end(args);
	return check;
}

#ifdef VOLET_FAULT_UNCHECKED
/* A build for tests only: what would leave if nobody looked. */
static bool same_session(const struct volet_id *a, const struct volet_id *b)
{
	(void)a;
	(void)b;
	return true;
}

static bool same_name(const char *a, const char *b)
{
	(void)a;
	(void)b;
	return true;
}
#else
static bool same_session(const struct volet_id *a, const struct volet_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool same_name(const char *a, const char *b)
{
	return memcmp(a, b, VOLET_NAME_MAX) == 0;
}
#endif

bool session_is_granted(const struct volet_ctl_granted *grant, const struct volet_id *session,
			const char *camera, const char *profile)
{
	return same_session(session, &grant->session) && same_name(camera, grant->camera) &&
	       same_name(profile, grant->profile);
}

/* Is the slot one that can be announced now? Only then may its memory be looked at. */
static struct session_check check_place(const struct session_rules *rules,
					const struct volet_frame_stamp *stamp)
{
	const struct volet_frame_memory *layout = &rules->memory->layout;

	if (!rules->memory->base)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame came before its memory");
	if (stamp->slot >= layout->slots)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame in slot %u of %u", stamp->slot, layout->slots);
	if (rules->held & (1u << stamp->slot))
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame in slot %u, which was not released", stamp->slot);
	if ((layout->codec == VOLET_CODEC_XRGB || layout->codec == VOLET_CODEC_XRGB_HANDED) &&
	    stamp->length != (uint64_t)layout->width * layout->height * 4)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a picture of %u bytes where it has %ux%u pixels", stamp->length,
			       layout->width, layout->height);
	/* What is in the session's own buffers is in no slot. */
	if (layout->codec == VOLET_CODEC_XRGB_HANDED)
		return verdict(SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
	if (stamp->length == 0 || stamp->length > layout->slot_size - VOLET_SLOT_PAYLOAD)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame of %u bytes in a slot for %u", stamp->length,
			       layout->slot_size - VOLET_SLOT_PAYLOAD);
	return verdict(SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
}

/* Whose is it? Asked of the message (`where` "message") and of the slot's header ("slot"). */
static struct session_check check_identity(const struct session_rules *rules,
					   const struct volet_frame_stamp *stamp, const char *where)
{
	const struct volet_ctl_granted *grant = rules->grant;

	if (!same_session(&stamp->session, &grant->session))
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_FOREIGN_FRAME,
			       "the %s carries another session's id", where);
	if (!same_name(stamp->camera, grant->camera))
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_FOREIGN_FRAME,
			       "the %s carries camera %.*s, granted was %s", where,
			       VOLET_NAME_MAX - 1, stamp->camera, grant->camera);
	if (!same_name(stamp->profile, grant->profile))
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_FOREIGN_FRAME,
			       "the %s carries profile %.*s, granted was %s", where,
			       VOLET_NAME_MAX - 1, stamp->profile, grant->profile);
	return verdict(SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
}

/* Do message and slot header speak of the same, new use of the slot? */
static struct session_check check_use(const struct session_rules *rules,
				      const struct volet_frame_stamp *stamp,
				      const struct volet_frame_stamp *header)
{
	if (stamp->generation <= rules->last_generation)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_STALE_SLOT,
			       "generation %" PRIu64 " after %" PRIu64, stamp->generation,
			       rules->last_generation);
	if (header->generation != stamp->generation)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_STALE_SLOT,
			       "slot %u holds generation %" PRIu64 ", announced was %" PRIu64,
			       stamp->slot, header->generation, stamp->generation);
	if (header->captured_ns != stamp->captured_ns || header->sequence != stamp->sequence ||
	    header->slot != stamp->slot || header->length != stamp->length ||
	    header->flags != stamp->flags)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "slot %u and its message differ in time, sequence, slot, length "
			       "or flags", stamp->slot);
	return verdict(SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
}

static struct session_check check_time(const struct session_rules *rules,
				       const struct volet_frame_stamp *stamp, uint64_t now_ns)
{
	uint64_t limit = rules->grant->age_limit_ms * UINT64_C(1000000);

	if (stamp->captured_ns > now_ns)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame captured %" PRIu64 " ns from now",
			       stamp->captured_ns - now_ns);
	if (stamp->captured_ns < rules->grant->granted_ns)
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame captured %" PRIu64 " ns before the grant",
			       rules->grant->granted_ns - stamp->captured_ns);
	if (!rules->started_ns || stamp->captured_ns < rules->started_ns) {
		/* What an earlier START asked for may cross with its STOP; no other may come. */
		if (rules->restarted)
			return verdict(SESSION_FRAME_LATE, VOLET_REASON_NONE,
				       "a frame of an earlier START");
		return verdict(SESSION_FRAME_WRONG, VOLET_REASON_PROTOCOL,
			       "a frame captured before START");
	}
	if (now_ns - stamp->captured_ns > limit)
		return verdict(SESSION_FRAME_LATE, VOLET_REASON_TOO_OLD,
			       "a frame of %" PRIu64 " ms",
			       (now_ns - stamp->captured_ns) / 1000000);
	return verdict(SESSION_FRAME_GOOD, VOLET_REASON_NONE, "good");
}

struct session_check session_check_frame(const struct session_rules *rules,
					 const struct volet_frame_stamp *stamp, uint64_t now_ns)
{
	struct session_check check = check_place(rules, stamp);
	struct volet_frame_stamp header;

	if (check.verdict != SESSION_FRAME_GOOD)
		return check;
	/* One copy, so that what was compared is what was read. */
	memcpy(&header, session_memory_slot(rules->memory, stamp->slot), sizeof(header));
	check = check_identity(rules, stamp, "message");
	if (check.verdict == SESSION_FRAME_GOOD)
		check = check_identity(rules, &header, "slot");
	if (check.verdict == SESSION_FRAME_GOOD)
		check = check_use(rules, stamp, &header);
	if (check.verdict == SESSION_FRAME_GOOD)
		check = check_time(rules, stamp, now_ns);
	return check;
}
