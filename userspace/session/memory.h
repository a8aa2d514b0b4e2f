/* SPDX-License-Identifier: MIT */
/* A session's frame memory as the session sees it: mapped once, read-only, and never resizable. */
#ifndef VOLET_SESSION_MEMORY_H
#define VOLET_SESSION_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include "protocol.h"

#define SESSION_WHY_MAX 192	/* a sentence for a log line */

struct session_memory {
	const uint8_t *base;		/* NULL when nothing is mapped */
	size_t size;
	struct volet_frame_memory layout;
};

/*
 * Check what `layout` says and what `fd` is, and map it. The descriptor stays the caller's.
 * False, with a sentence in `why`, when the memory isn't exactly what the protocol promises:
 * a memory that can be resized would fault the reader, one that can still be mapped for
 * writing, or given more seals, belongs to somebody else as well.
 */
bool session_memory_map(struct session_memory *memory, const struct volet_frame_memory *layout,
			int fd, char why[SESSION_WHY_MAX]);
void session_memory_unmap(struct session_memory *memory);

/* The header and the payload of a slot; `slot` is below layout.slots. */
const uint8_t *session_memory_slot(const struct session_memory *memory, uint32_t slot);

#endif
