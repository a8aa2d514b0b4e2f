// SPDX-License-Identifier: MIT
/* The device's certificate and private key; see key.h. */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64 * 1024)

struct key {
	EVP_PKEY *private_key;
	int certificate;
};

/* Says why and is NULL, for return. */
static void *fail(char why[KEY_WHY_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void *fail(char why[KEY_WHY_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, KEY_WHY_MAX, format, args);
	va_end(args);
	return NULL;
}

/* The file's text, or NULL; wiped and freed by the caller. */
static char *read_file(const char *name, const char *path, mode_t forbidden, size_t *length,
		       char why[KEY_WHY_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fail(why, "%s: %s: %s; volet-sign's uid (%u) must be able to read it", name, path,
		     strerror(errno), getuid());
	} else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		fail(why, "%s: %s: not a file of at most 64 KiB", name, path);
	} else if (st.st_mode & forbidden) {
		fail(why, "%s: %s: others than volet-sign's uid have access to it; run chown %u and"
		     " chmod 400 on it", name, path, getuid());
	} else if (!(text = calloc(1, FILE_MAX + 1)) || (n = read(fd, text, FILE_MAX)) < 0) {
		fail(why, "%s: %s: %s", name, path, strerror(errno));
		free(text);
		text = NULL;
	} else {
		*length = (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static EVP_PKEY *read_key(const char *path, char why[KEY_WHY_MAX])
{
	EVP_PKEY *key = NULL;
	char group[32] = "";
	size_t length;
	char *text = read_file("private-key", path, S_IRWXG | S_IRWXO, &length, why);
	BIO *bio;

	if (!text)
		return NULL;
	bio = BIO_new_mem_buf(text, (int)length);
	/* An empty pass phrase, so that nobody is asked for one. */
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
	BIO_free(bio);
	explicit_bzero(text, FILE_MAX);
	free(text);
	if (!key)
		return fail(why, "private-key: %s: not a private key in PEM without a pass phrase", path);
	if (!EVP_PKEY_is_a(key, "EC") ||
	    !EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) || strcmp(group, "prime256v1")) {
		EVP_PKEY_free(key);
		return fail(why, "private-key: %s: not an EC key on P-256; make one with openssl genpkey"
			    " -algorithm EC -pkeyopt ec_paramgen_curve:P-256", path);
	}
	return key;
}

/* The leaf of the chain in `text`, every certificate of which must be readable. */
static X509 *read_leaf(const char *path, const char *text, size_t length, char why[KEY_WHY_MAX])
{
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, (void *)"") : NULL;

	BIO_free(bio);
	if (!leaf)
		return fail(why, "certificate: %s: no certificate in PEM; the device's own comes first, then"
			    " those up to the root", path);
	if (strstr(text, "PRIVATE KEY")) {
		X509_free(leaf);
		return fail(why, "certificate: %s: has a private key in it; every TLS process gets this"
			    " file's text: keep the key in private-key alone", path);
	}
	return leaf;
}

static int seal(const char *text, size_t length)
{
	int fd = memfd_create("certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd >= 0 && write(fd, text, length) == (ssize_t)length &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void doubt_time(const char *path, const X509 *leaf, char why[KEY_WHY_MAX])
{
	why[0] = '\0';
	if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		fail(why, "certificate: %s: isn't valid yet by this machine's clock", path);
	else if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		fail(why, "certificate: %s: has expired by this machine's clock", path);
}

/* -1 with `why` when the certificate can't be used with this key. */
static int load_certificate(const char *path, const char *key_path, const EVP_PKEY *key,
			    char why[KEY_WHY_MAX])
{
	size_t length = 0;
	char *text = read_file("certificate", path, 0, &length, why);
	X509 *leaf = text ? read_leaf(path, text, length, why) : NULL;
	int fd = -1;

	if (leaf && !X509_check_private_key(leaf, key)) {
		fail(why, "certificate: %s is not of the key in private-key, %s: name two files that were"
		     " made together", path, key_path);
	} else if (leaf) {
		fd = seal(text, length);
		if (fd < 0)
			fail(why, "certificate: %s: no sealed memory: %s", path, strerror(errno));
		else
			doubt_time(path, leaf, why);
	}
	X509_free(leaf);
	free(text);
	return fd;
}

struct key *key_load(const char *certificate, const char *private_key, char why[KEY_WHY_MAX])
{
	struct key *key = calloc(1, sizeof(*key));

	if (!key)
		return fail(why, "no memory");
	key->certificate = -1;
	key->private_key = read_key(private_key, why);
	if (key->private_key)
		key->certificate = load_certificate(certificate, private_key, key->private_key, why);
	if (key->certificate >= 0)
		return key;
	key_free(key);
	return NULL;
}

void key_free(struct key *key)
{
	if (key->certificate >= 0)
		close(key->certificate);
	EVP_PKEY_free(key->private_key);
	free(key);
}

int key_certificate(const struct key *key)
{
	return key->certificate;
}

size_t key_sign(const struct key *key, const uint8_t *data, size_t length,
		uint8_t signature[KEY_SIGNATURE_MAX])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = KEY_SIGNATURE_MAX;
	bool ok = context &&
		  EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->private_key) == 1 &&
		  EVP_DigestSign(context, signature, &size, data, length) == 1;

	EVP_MD_CTX_free(context);
	return ok ? size : 0;
}
