/* SPDX-License-Identifier: MIT */
/*
 * The real volet-sign and volet-tls, with the test in voletd's place: a key and a certificate
 * made for the test, and connections on the loopback interface.
 */
#ifndef VOLET_TEST_TLS_BENCH_H
#define VOLET_TEST_TLS_BENCH_H

#include <glib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include "protocol.h"

#define TLS_BENCH_SIGN_UID 60950

struct tls_bench {
	char *dir, *certificate, *private_key;
	int signer;			/* voletd's end of volet-sign's channel */
	pid_t sign_pid;
};

/* One connection, as voletd sees it. */
struct tls_end {
	pid_t pid;
	int control;			/* of volet-tls */
	int stream;			/* the session program's byte stream */
};

/* A fresh key on P-256 or, for `bits`, an RSA one, in files that volet-sign's uid can read. */
EVP_PKEY *tls_bench_write_key(const char *path, int bits);
void tls_bench_write_certificate(const char *path, EVP_PKEY *key);

/* Files, and no volet-sign yet. */
struct tls_bench *tls_bench_files(void);
/* Start volet-sign; its first message. */
struct volet_signer tls_bench_sign(struct tls_bench *bench);
/* Both, and it is ready. */
struct tls_bench *tls_bench_new(void);
void tls_bench_free(struct tls_bench *bench);

/* A signature channel as volet-tls would get it. */
int tls_bench_channel(struct tls_bench *bench);

/* Start volet-tls on a connection, which it takes. */
struct tls_end tls_bench_accept(struct tls_bench *bench, int tcp);
/* Its next message, .type 0 when it is gone without one, within 10 s. */
struct volet_tls tls_end_hear(struct tls_end *end);
void tls_end_free(struct tls_end *end);

/* The path of a program named by the environment, or installed. */
const char *tls_bench_program(const char *variable, const char *name);

#endif
