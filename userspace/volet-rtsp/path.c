// SPDX-License-Identifier: MIT
/* The camera and the profile that a URL names; nothing else of a path means anything to Volet. */
#include "viewer.h"

#include <string.h>

#include "msg.h"

/* The component of the path at `*path`, which moves on to the next; false when it is too long. */
static bool take(const char **path, char name[VOLET_NAME_MAX])
{
	size_t n = strcspn(*path, "/?#");

	memset(name, 0, VOLET_NAME_MAX);
	if (n >= VOLET_NAME_MAX)
		return false;
	memcpy(name, *path, n);
	*path += n;
	if (**path == '/')
		++*path;
	return true;
}

bool path_names(const char *uri, char camera[VOLET_NAME_MAX], char profile[VOLET_NAME_MAX])
{
	const char *path = uri;

	memset(camera, 0, VOLET_NAME_MAX);
	memset(profile, 0, VOLET_NAME_MAX);
	if (strlen(uri) >= VOLET_URI_MAX)
		return false;
	/* With TLS or without: this program can't tell, and it is voletd that has seen to it. */
	if (g_str_has_prefix(uri, "rtsp://") || g_str_has_prefix(uri, "rtsps://")) {
		path = strchr(strstr(uri, "://") + strlen("://"), '/');
		if (!path)
			return false;
	}
	if (*path++ != '/')
		return false;
	if (!take(&path, camera) || !msg_name_ok(camera) || !take(&path, profile))
		return false;
	/* The server's name for the one stream, which SETUP has at the end, is no profile. */
	if (g_str_has_prefix(profile, "stream="))
		memset(profile, 0, VOLET_NAME_MAX);
	return !profile[0] || msg_name_ok(profile);
}
