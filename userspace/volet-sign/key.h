/* SPDX-License-Identifier: MIT */
/*
 * The device's certificate and private key, read once and then used. Nothing here ever gives
 * the key out.
 */
#ifndef VOLET_SIGN_KEY_H
#define VOLET_SIGN_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_WHY_MAX	512
#define KEY_SIGNATURE_MAX 80	/* ECDSA on P-256, DER, and some */

struct key;

/*
 * Read both files and see that they belong together. NULL with a sentence in `why` that
 * names the key of the configuration, the file, and what to do. A doubt that doesn't
 * prevent use (a certificate that has expired: the clock may be wrong) is in `why` as well.
 */
struct key *key_load(const char *certificate, const char *private_key, char why[KEY_WHY_MAX]);
void key_free(struct key *key);

/* The chain as a sealed memfd, still the key's. */
int key_certificate(const struct key *key);

/* ECDSA with SHA-256 over `data`; the signature's length, or 0. */
size_t key_sign(const struct key *key, const uint8_t *data, size_t length,
		uint8_t signature[KEY_SIGNATURE_MAX]);

#endif
