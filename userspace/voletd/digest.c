// SPDX-License-Identifier: MIT
/* RTSP digest arithmetic; see digest.h. */
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "protocol.h"

static void hex(char *text, const unsigned char *bytes, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static bool md5_hex(char out[33], const char *text)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (!EVP_Digest(text, strlen(text), sum, &n, EVP_md5(), NULL) || n != 16)
		return false;
	hex(out, sum, n);
	return true;
}

bool digest_works(void)
{
	char sum[33];

	return md5_hex(sum, "") && !strcmp(sum, "d41d8cd98f00b204e9800998ecf8427e");
}

bool digest_response(char response[33], const char *ha1, const char *nonce, const char *method,
		     const char *uri)
{
	char text[VOLET_URI_MAX + VOLET_NONCE_MAX + 64], ha2[33];
	bool ok;

	ok = snprintf(text, sizeof(text), "%s:%s", method, uri) < (int)sizeof(text) &&
	     md5_hex(ha2, text) &&
	     snprintf(text, sizeof(text), "%s:%s:%s", ha1, nonce, ha2) < (int)sizeof(text) &&
	     md5_hex(response, text);
	OPENSSL_cleanse(text, sizeof(text));
	return ok;
}

bool digest_equal(const char a[33], const char b[33])
{
	return CRYPTO_memcmp(a, b, 33) == 0;
}

bool digest_random_hex(char *text, unsigned int bytes)
{
	unsigned char random[32];

	if (bytes > sizeof(random) || getrandom(random, bytes, 0) != (ssize_t)bytes)
		return false;
	hex(text, random, bytes);
	OPENSSL_cleanse(random, sizeof(random));
	return true;
}
