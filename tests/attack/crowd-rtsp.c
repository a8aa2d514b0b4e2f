// SPDX-License-Identifier: MIT
/* The crowd's RTSP: requests made, answers taken apart; see crowd.h. */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>

static char *md5(const char *text)
{
	return g_compute_checksum_for_string(G_CHECKSUM_MD5, text, -1);
}

static char *credential(const char *method, const char *url, const struct right *right,
			const char *nonce)
{
	g_autofree char *a1 = g_strdup_printf("%s:volet:%s", right->viewer, right->password);
	g_autofree char *a2 = g_strdup_printf("%s:%s", method, url);
	g_autofree char *ha1 = md5(a1), *ha2 = md5(a2);
	g_autofree char *text = g_strdup_printf("%s:%s:%s", ha1, nonce, ha2);
	g_autofree char *response = md5(text);

	return g_strdup_printf("Authorization: Digest username=\"%s\", realm=\"volet\", nonce=\"%s\","
			       " uri=\"%s\", response=\"%s\"\r\n", right->viewer, nonce, url, response);
}

char *rtsp_request(const char *method, const char *url, unsigned int cseq, const struct right *right,
		   const char *nonce, const char *session, const char *headers)
{
	g_autofree char *who = nonce ? credential(method, url, right, nonce) : g_strdup("");
	g_autofree char *which = session ? g_strdup_printf("Session: %s\r\n", session) : g_strdup("");

	return g_strdup_printf("%s %s RTSP/1.0\r\nCSeq: %u\r\n%s%s%s\r\n", method, url, cseq, which, who,
			       headers);
}

size_t rtsp_size(const uint8_t *data, size_t n)
{
	const char *end, *length;
	size_t size;

	if (n >= 4 && data[0] == '$') {
		size = 4 + (size_t)(data[2] << 8 | data[3]);
		return size <= n ? size : 0;
	}
	end = g_strstr_len((const char *)data, (gssize)n, "\r\n\r\n");
	if (!end)
		return 0;
	size = (size_t)(end + 4 - (const char *)data);
	length = g_strstr_len((const char *)data, (gssize)size, "Content-Length: ");
	if (length)
		size += (size_t)atoi(length + 16);
	return size <= n ? size : 0;
}

char *rtsp_field(const char *message, const char *name, const char *end)
{
	const char *at = strstr(message, name);

	return at ? g_strndup(at + strlen(name), strcspn(at + strlen(name), end)) : NULL;
}
