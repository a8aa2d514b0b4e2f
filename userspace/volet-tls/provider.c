// SPDX-License-Identifier: MIT
/* The key that is elsewhere; see provider.h. Only what libssl's server asks a key for is here. */
#include "provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "msg.h"

#define NAME		"volet"
#define GROUP		"prime256v1"
#define POINT_SIZE	65
#define SIGNATURE_MAX	72
#define WAIT_MS		5000

struct remote_key {
	unsigned char point[POINT_SIZE];
};

static int signer;

/* ---- the key ------------------------------------------------------------------------ */

static void *key_new(void *provider)
{
	(void)provider;
	return calloc(1, sizeof(struct remote_key));
}

static void key_free(void *key)
{
	free(key);
}

static int key_has(const void *key, int selection)
{
	(void)selection;
	return key != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
	(void)selection;
	return memcmp(a, b, sizeof(struct remote_key)) == 0;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	struct remote_key *key = data;

	(void)selection;
	if (!point || point->data_type != OSSL_PARAM_OCTET_STRING || point->data_size != POINT_SIZE)
		return 0;
	memcpy(key->point, point->data, POINT_SIZE);
	return 1;
}

/* Refused where the private half is asked for: so OpenSSL finds out that only we can sign. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument)
{
	struct remote_key *key = data;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)GROUP, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, key->point, POINT_SIZE),
		OSSL_PARAM_construct_end(),
	};

	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && callback(params, argument);
}

static const OSSL_PARAM *key_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static const OSSL_PARAM *key_gettable(void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_END
	};

	(void)provider;
	return types;
}

static int key_get(void *key, OSSL_PARAM params[])
{
	static const struct { const char *name; int value; } numbers[] = {
		{ OSSL_PKEY_PARAM_BITS, 256 }, { OSSL_PKEY_PARAM_SECURITY_BITS, 128 },
		{ OSSL_PKEY_PARAM_MAX_SIZE, SIGNATURE_MAX },
	};
	static const struct { const char *name, *value; } texts[] = {
		{ OSSL_PKEY_PARAM_GROUP_NAME, GROUP }, { OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256" },
	};
	OSSL_PARAM *p;
	size_t i;

	(void)key;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		p = OSSL_PARAM_locate(params, numbers[i].name);
		if (p && !OSSL_PARAM_set_int(p, numbers[i].value))
			return 0;
	}
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		p = OSSL_PARAM_locate(params, texts[i].name);
		if (p && !OSSL_PARAM_set_utf8_string(p, texts[i].value))
			return 0;
	}
	return 1;
}

static const char *key_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* ---- signing ------------------------------------------------------------------------ */

/* There is one key and one channel, so a context needs no content; it may not be NULL. */
static void *sign_new(void *provider, const char *preference)
{
	(void)provider;
	(void)preference;
	return malloc(1);
}

static void sign_free(void *context)
{
	free(context);
}

static int sign_init(void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
	(void)context;
	(void)key;
	(void)params;
	return !digest || !strcasecmp(digest, "SHA256") || !strcasecmp(digest, "SHA2-256");
}

static int sign_do(void *context, unsigned char *signature, size_t *length, size_t size,
		   const unsigned char *data, size_t data_length)
{
	struct volet_signature msg = { .type = VOLET_SIGNATURE_REQUEST, .length = (uint32_t)data_length };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	(void)context;
	*length = SIGNATURE_MAX;
	if (!signature)
		return 1;
	if (data_length > sizeof(msg.data))
		return 0;
	memcpy(msg.data, data, data_length);
	if (msg_send(signer, &msg, sizeof(msg), NULL, 0) < 0 ||
	    msg_recv_wait(signer, &msg, sizeof(msg), fds, &n_fds, WAIT_MS) < 0)
		return 0;
	msg_close_fds(fds);
	if (msg.type != VOLET_SIGNATURE_DONE || !msg.length || msg.length > sizeof(msg.data) ||
	    msg.length > size)
		return 0;
	memcpy(signature, msg.data, msg.length);
	*length = msg.length;
	return 1;
}

/* ---- the provider ------------------------------------------------------------------- */

#define F(f) ((void (*)(void))(f))

static const OSSL_ALGORITHM *operations(void *provider, int operation, int *no_cache)
{
	static const OSSL_DISPATCH key[] = {
		{ OSSL_FUNC_KEYMGMT_NEW, F(key_new) }, { OSSL_FUNC_KEYMGMT_FREE, F(key_free) },
		{ OSSL_FUNC_KEYMGMT_HAS, F(key_has) }, { OSSL_FUNC_KEYMGMT_MATCH, F(key_match) },
		{ OSSL_FUNC_KEYMGMT_IMPORT, F(key_import) },
		{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, F(key_types) },
		{ OSSL_FUNC_KEYMGMT_EXPORT, F(key_export) },
		{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, F(key_types) },
		{ OSSL_FUNC_KEYMGMT_GET_PARAMS, F(key_get) },
		{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, F(key_gettable) },
		{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, F(key_operation) }, { 0, NULL }
	};
	static const OSSL_DISPATCH sign[] = {
		{ OSSL_FUNC_SIGNATURE_NEWCTX, F(sign_new) },
		{ OSSL_FUNC_SIGNATURE_FREECTX, F(sign_free) },
		{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, F(sign_init) },
		{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, F(sign_do) }, { 0, NULL }
	};
	static const OSSL_ALGORITHM keys[] = { { "EC", "provider=" NAME, key, NULL }, { 0 } };
	static const OSSL_ALGORITHM signatures[] = { { "ECDSA", "provider=" NAME, sign, NULL }, { 0 } };

	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
		void **context)
{
	static const OSSL_DISPATCH dispatch[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, F(operations) }, { 0, NULL }
	};

	(void)in;
	*out = dispatch;
	*context = (void *)handle;
	return 1;
}

bool provider_load(int channel)
{
	signer = channel;
	return OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_add_builtin(NULL, NAME, init) &&
	       OSSL_PROVIDER_load(NULL, NAME);
}

EVP_PKEY *provider_key(const EVP_PKEY *public_key)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", "provider=" NAME);
	unsigned char point[POINT_SIZE];
	EVP_PKEY *key = NULL;
	size_t size = 0;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};

	if (!context || EVP_PKEY_get_octet_string_param(public_key, OSSL_PKEY_PARAM_PUB_KEY, point,
							sizeof(point), &size) != 1 ||
	    size != sizeof(point) || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	return key;
}
