/* SPDX-License-Identifier: MIT */
/*
 * An OpenSSL provider whose one key is elsewhere: it has the public half of the device's key,
 * and a channel to volet-sign for the rest. For libssl it is an EC key like any other.
 */
#ifndef VOLET_TLS_PROVIDER_H
#define VOLET_TLS_PROVIDER_H

#include <openssl/evp.h>
#include <stdbool.h>

/* Load it beside OpenSSL's own. Signatures are asked for on `channel`, which stays the caller's. */
bool provider_load(int channel);

/* The private key to this public one on P-256, or NULL. */
EVP_PKEY *provider_key(const EVP_PKEY *public_key);

/* Prefer OpenSSL's own for everything that can be had there. */
#define PROVIDER_PREFERENCE "?provider=default"

#endif
