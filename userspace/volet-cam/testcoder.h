/* SPDX-License-Identifier: MIT */
/*
 * A test camera that codes its pictures itself, as cameras with an encoder do (`media = test`,
 * `format = H264`): only in builds with -Dtest-formats=true, for tests of what is done with such a
 * camera's frames. It gives a key frame each TESTCODER_GOP frames, without parameter sets but in
 * the first, and loses a frame now and then, as a bad cable would.
 */
#ifndef VOLET_CAM_TESTCODER_H
#define VOLET_CAM_TESTCODER_H

#include "capture.h"
#include "config.h"

#define TESTCODER_GOP	10

struct testcoder;

/* NULL without an error where the camera doesn't code. `convert` is opened for what it gives. */
struct testcoder *testcoder_new(const struct volet_camera_config *config, struct convert *convert,
				GError **error);
void testcoder_free(struct testcoder *coder);	/* also right for NULL */

/* From the picture of `frame` to what a camera would have coded, checked. FALSE: nothing. */
gboolean testcoder_code(struct testcoder *coder, struct convert *convert,
			struct capture_frame *frame);

#endif
