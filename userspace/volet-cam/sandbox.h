/* SPDX-License-Identifier: MIT */
/*
 * What volet-cam gives up once its nodes are open: new privileges, being read by a debugger,
 * every file (Landlock), every TCP port, and every system call and ioctl that it doesn't need
 * to run (seccomp). Called while there is one thread. There is no running without it.
 */
#ifndef VOLET_CAM_SANDBOX_H
#define VOLET_CAM_SANDBOX_H

#include <glib.h>

gboolean sandbox_enter(GError **error);
/* For a camera with a hardware encoder, or that codes itself: they are driven by two calls more. */
gboolean sandbox_enter_codecs(GError **error);

/*
 * For the process that opens the device (opener.h): no new privileges, no debugger, no TCP,
 * and no file but those of /dev, and those of /sys to read.
 */
gboolean sandbox_opener(GError **error);

/* Its two layers, each of which holds without the other. The first needs no_new_privs. */
gboolean sandbox_files(GError **error);
gboolean sandbox_calls(GError **error);

#endif
