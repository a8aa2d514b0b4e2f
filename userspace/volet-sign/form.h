/* SPDX-License-Identifier: MIT */
/*
 * What a TLS server with an ECDSA key on P-256 ever signs, and nothing else: volet-sign is
 * given the message and not its digest, so that it can tell. A program that got hold of a
 * signature channel can't have a certificate, a client's handshake, or anything of another
 * protocol signed.
 */
#ifndef VOLET_SIGN_FORM_H
#define VOLET_SIGN_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is it CertificateVerify of TLS 1.3, or ServerKeyExchange of TLS 1.2? */
bool form_allowed(const uint8_t *data, size_t length);

#endif
