/* SPDX-License-Identifier: MIT */
/*
 * A fault that a test build has on purpose (meson's option `fault`), to show that what is
 * behind it holds. Such a build says so at its start and in --version.
 */
#ifndef VOLET_FAULT_H
#define VOLET_FAULT_H

#include "daemon.h"

/* The camera that a grant goes to: a wrong table would name the next one. */
static inline struct camera *fault_cross(struct camera *camera)
{
	const GPtrArray *cameras = camera->daemon->cameras;

	return FAULT_CROSS ? cameras->pdata[(camera->index + 1) % cameras->len] : camera;
}

#endif
