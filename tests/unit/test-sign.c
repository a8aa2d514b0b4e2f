// SPDX-License-Identifier: MIT
/* What volet-sign signs and what it doesn't. */
#include <glib.h>
#include <string.h>

#include "form.h"

static const char text13[] = "TLS 1.3, server CertificateVerify";

static size_t make13(uint8_t *data, size_t hash)
{
	memset(data, ' ', 64);
	memcpy(data + 64, text13, sizeof(text13));
	memset(data + 64 + sizeof(text13), 0xab, hash);
	return 64 + sizeof(text13) + hash;
}

static size_t make12(uint8_t *data, uint8_t curve, uint8_t point)
{
	memset(data, 0x11, 64);
	memcpy(data + 56, "DOWNGRD\1", 8);
	memcpy(data + 64, (uint8_t[]){ 3, 0, curve, point }, 4);
	memset(data + 68, 0x22, point);
	return 68u + point;
}

static void test_forms(void)
{
	uint8_t data[256];
	size_t n;

	g_assert_true(form_allowed(data, make13(data, 32)));
	g_assert_true(form_allowed(data, make13(data, 48)));
	g_assert_true(form_allowed(data, make12(data, 29, 32)));
	g_assert_true(form_allowed(data, make12(data, 23, 65)));
	/* Nothing, a bare digest, what a certificate looks like, another hash's length. */
	g_assert_false(form_allowed(data, 0));
	g_assert_false(form_allowed(data, 32));
	memset(data, 0x30, sizeof(data));
	g_assert_false(form_allowed(data, 256));
	g_assert_false(form_allowed(data, make13(data, 64)));
	g_assert_false(form_allowed(data, make13(data, 0)));
	for (n = 0; n < 130; n++) {
		make13(data, 32);
		if (n < 64 + sizeof(text13)) {
			data[n] ^= 1;
			g_assert_false(form_allowed(data, 130));
			data[n] ^= 1;
		}
		g_assert_false(form_allowed(data, n));
	}
	/* A client's signature, which would make the key a client's. */
	n = make13(data, 32);
	memcpy(data + 64 + 9, "client", 6);
	g_assert_false(form_allowed(data, n));
	/* Another curve, a wrong length, and a server that never spoke 1.3. */
	g_assert_false(form_allowed(data, make12(data, 24, 97)));
	g_assert_false(form_allowed(data, make12(data, 29, 65)));
	n = make12(data, 29, 32);
	g_assert_false(form_allowed(data, n - 1));
	g_assert_false(form_allowed(data, n + 1));
	data[60] = 0;
	g_assert_false(form_allowed(data, n));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sign/forms", test_forms);
	return g_test_run();
}
