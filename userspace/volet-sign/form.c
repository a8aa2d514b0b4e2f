// SPDX-License-Identifier: MIT
/* What may be signed; see form.h. */
#include "form.h"

#include <string.h>

#define SPACES		64
#define RANDOMS		64	/* of client and server */
#define NAMED_CURVE	3

/* RFC 8446, 4.4.3: 64 spaces, the text with its NUL, and the transcript's hash. */
static bool is_tls13(const uint8_t *data, size_t length)
{
	static const char text[] = "TLS 1.3, server CertificateVerify";
	size_t hash = length - SPACES - sizeof(text), i;

	if (length <= SPACES + sizeof(text) || (hash != 32 && hash != 48))
		return false;
	for (i = 0; i < SPACES; i++) {
		if (data[i] != ' ')
			return false;
	}
	return memcmp(data + SPACES, text, sizeof(text)) == 0;
}

/*
 * RFC 8422, 5.4: both randoms, then the ephemeral key's curve and point. A server that
 * speaks 1.3, as volet-tls does, ends its random so when it is asked for 1.2 (RFC 8446,
 * 4.1.3); without those bytes somebody else made the message.
 */
static bool is_tls12(const uint8_t *data, size_t length)
{
	static const struct {
		uint8_t curve, point;
	} curves[] = { { 29, 32 }, { 23, 65 } };	/* X25519, P-256 */
	const uint8_t *params = data + RANDOMS;
	size_t i;

	if (length < RANDOMS + 4 || memcmp(params - 8, "DOWNGRD\1", 8))
		return false;
	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		if (params[0] == NAMED_CURVE && params[1] == 0 && params[2] == curves[i].curve &&
		    params[3] == curves[i].point && length == RANDOMS + 4u + curves[i].point)
			return true;
	}
	return false;
}

bool form_allowed(const uint8_t *data, size_t length)
{
	return is_tls13(data, length) || is_tls12(data, length);
}
