/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of RTSP digest authentication, in the form that every client speaks
 * (RFC 2069: MD5 without qop). MD5 is what the protocol says; nothing else relies on it.
 */
#ifndef VOLET_DIGEST_H
#define VOLET_DIGEST_H

#include <stdbool.h>

/* True when this library can do MD5 at all: a FIPS one can't. */
bool digest_works(void);

/* MD5(ha1 ":" nonce ":" MD5(method ":" uri)), in lower-case hex. */
bool digest_response(char response[33], const char *ha1, const char *nonce, const char *method,
		     const char *uri);

/* Compares in a time that doesn't depend on where two responses differ. */
bool digest_equal(const char a[33], const char b[33]);

/* `bytes` random bytes as hex and a NUL; false when the kernel gives none. */
bool digest_random_hex(char *text, unsigned int bytes);

#endif
