// SPDX-License-Identifier: MIT
/*
 * What kind of TLS is spoken: 1.2 and 1.3, authenticated encryption and ephemeral keys only, and
 * nothing that lets a later connection profit from this one: no ticket, no session cache, no
 * early data, no renegotiation. (The process ends with the connection, so there is nothing
 * to resume from anyway.)
 */
#include "server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

#include "provider.h"

#define CHAIN_MAX (64 * 1024)

static const char ciphers12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
				"ECDHE-ECDSA-CHACHA20-POLY1305";
static const char ciphers13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				"TLS_CHACHA20_POLY1305_SHA256";
/* The first where this OpenSSL and the viewer have it: what is recorded now stays closed later. */
static const char groups[] = "?X25519MLKEM768:X25519:P-256";

static bool use_chain(SSL_CTX *context, int certificate)
{
	static char text[CHAIN_MAX];
	/* Every volet-tls has this same file: its offset is nobody's. */
	ssize_t n = pread(certificate, text, sizeof(text), 0);
	BIO *bio = n > 0 ? BIO_new_mem_buf(text, (int)n) : NULL;
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL, *next;
	EVP_PKEY *key = leaf ? provider_key(X509_get0_pubkey(leaf)) : NULL;
	bool ok = key && SSL_CTX_use_certificate(context, leaf) == 1 &&
		  SSL_CTX_use_PrivateKey(context, key) == 1;

	while (ok && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		ok = SSL_CTX_add0_chain_cert(context, next) == 1;
	ERR_clear_error();	/* of the end of the text */
	EVP_PKEY_free(key);
	X509_free(leaf);
	BIO_free(bio);
	return ok;
}

static bool restrict_protocol(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
			    SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			 SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(context, 0) == 1 &&
	       SSL_CTX_set_max_early_data(context, 0) == 1 &&
	       SSL_CTX_set_cipher_list(context, ciphers12) == 1 &&
	       SSL_CTX_set_ciphersuites(context, ciphers13) == 1 &&
	       SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1 &&
	       SSL_CTX_set1_groups_list(context, groups) == 1;
}

SSL *server_new(int tcp, int certificate, int signer, char why[SERVER_WHY_MAX])
{
	SSL_CTX *context = NULL;
	SSL *ssl = NULL;

	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (provider_load(signer))
		context = SSL_CTX_new_ex(NULL, PROVIDER_PREFERENCE, TLS_server_method());
	if (context && restrict_protocol(context) && use_chain(context, certificate))
		ssl = SSL_new(context);
	SSL_CTX_free(context);
	if (ssl && SSL_set_fd(ssl, tcp) == 1)
		return ssl;
	snprintf(why, SERVER_WHY_MAX, "OpenSSL: %s", ERR_reason_error_string(ERR_peek_last_error()) ?: "no reason");
	SSL_free(ssl);
	return NULL;
}
