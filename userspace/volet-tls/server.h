/* SPDX-License-Identifier: MIT */
/* What kind of TLS is spoken: see server.c, which is all of it. */
#ifndef VOLET_TLS_SERVER_H
#define VOLET_TLS_SERVER_H

#include <openssl/ssl.h>

#define SERVER_WHY_MAX 256

/*
 * A server on `tcp` with the chain in `certificate` (PEM, a file), whose
 * signatures are asked for on `signer`. NULL with a sentence in `why`.
 */
SSL *server_new(int tcp, int certificate, int signer, char why[SERVER_WHY_MAX]);

#endif
