/* SPDX-License-Identifier: MIT */
/*
 * Which nodes are stateful encoders of a codec? By what they say they can do, never by name or
 * number: a memory-to-memory device whose CAPTURE queue has the codec and whose OUTPUT queue
 * takes NV12.
 */
#ifndef VOLET_CAM_M2M_FIND_H
#define VOLET_CAM_M2M_FIND_H

#include <glib.h>

struct m2m_node {
	int fd;		/* open, non-blocking: a context of its own; -1 once it was taken */
	char *name;	/* "vicodec (/dev/video3)" */
};

/*
 * struct m2m_node *, in the order of their numbers; free with g_ptr_array_unref(), which closes
 * those that were not taken. `looked` and `denied` count the nodes of `directory` (/dev), and
 * those of them that this process may not open.
 */
GPtrArray *m2m_find(const char *directory, guint32 fourcc, guint *looked, guint *denied);

#endif
