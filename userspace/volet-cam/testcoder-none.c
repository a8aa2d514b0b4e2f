// SPDX-License-Identifier: MIT
/* Test cameras give pictures; see testcoder.h. */
#include "testcoder.h"

struct testcoder *testcoder_new(const struct volet_camera_config *config G_GNUC_UNUSED,
				struct convert *convert G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
	return NULL;
}

void testcoder_free(struct testcoder *coder G_GNUC_UNUSED)
{
}

gboolean testcoder_code(struct testcoder *coder G_GNUC_UNUSED,
			struct convert *convert G_GNUC_UNUSED,
			struct capture_frame *frame G_GNUC_UNUSED)
{
	return FALSE;
}
