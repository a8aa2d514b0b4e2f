// SPDX-License-Identifier: MIT
/* Digest nonces; see nonce.h. */
#include "nonce.h"

#include <string.h>

#include "digest.h"

bool nonce_make(struct nonce *nonce, int64_t now_ns)
{
	memset(nonce, 0, sizeof(*nonce));
	nonce->made_ns = now_ns;
	return digest_random_hex(nonce->text, 16);
}

bool nonce_use(struct nonce *nonce, const char *text, int64_t now_ns)
{
	if (!nonce->text[0] || strcmp(nonce->text, text))
		return false;
	if (!nonce->proven && now_ns - nonce->made_ns > NONCE_FIRST_NS)
		return false;
	return nonce->uses++ < NONCE_USES_MAX;
}
