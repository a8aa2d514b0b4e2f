// SPDX-License-Identifier: MIT
/* What authentication rests on: digests, nonces, admission, and the age of a socket's queue. */
#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>

#include "digest.h"
#include "nonce.h"
#include "outq.h"
#include "sources.h"

#define SECOND	1000000000LL
#define MS	1000000LL

/*
 * Each made with coreutils' md5sum, as: printf '%s' "$ha1:$nonce:$(printf '%s' METHOD:URI |
 * md5sum | cut -c1-32)" | md5sum. The first is RFC 2069's example as its erratum 749
 * corrects it; the second is RFC 2617's, whose longer middle part stands in the nonce's place.
 */
static void test_vectors(void)
{
	static const struct {
		const char *ha1, *nonce, *method, *uri, *response;
	} vectors[] = {
		{ "4945ecf42b1bb868634058a845bedde8", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "GET",
		  "/dir/index.html", "1949323746fe6a43ef61f9606e7febea" },
		{ "939e7578ed9e3c518a452acee763bce9",
		  "dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth", "GET",
		  "/dir/index.html", "6629fae49393a05397450978507c4ef1" },
		{ "a66630b222aa1035846410b574b35ab3", "0123456789abcdef0123456789abcdef", "DESCRIBE",
		  "rtsp://192.0.2.7:8554/cam0", "c9148eb8eaf4aee67f286311e2e2ed96" },
	};
	char response[33];
	unsigned int i;

	g_assert_true(digest_works());
	for (i = 0; i < G_N_ELEMENTS(vectors); i++) {
		g_assert_true(digest_response(response, vectors[i].ha1, vectors[i].nonce,
					      vectors[i].method, vectors[i].uri));
		g_assert_cmpstr(response, ==, vectors[i].response);
	}
}

static void test_longest(void)
{
	g_autofree char *longest = g_strnfill(VOLET_URI_MAX - 1, 'u');
	g_autofree char *longer = g_strnfill(4 * VOLET_URI_MAX, 'u');
	char response[33];

	g_assert_true(digest_response(response, "4945ecf42b1bb868634058a845bedde8",
				      "012345678901234567890123456789012345678", "GET_PARAMETER1",
				      longest));
	g_assert_false(digest_response(response, "4945ecf42b1bb868634058a845bedde8", "0", "GET",
				       longer));
}

static void test_equal(void)
{
	char a[33] = "1949323746fe6a43ef61f9606e7febea", b[33] = { 0 };
	unsigned int i;

	memcpy(b, a, sizeof(b));
	g_assert_true(digest_equal(a, b));
	for (i = 0; i < 32; i++) {
		b[i] ^= 1;
		g_assert_false(digest_equal(a, b));
		b[i] ^= 1;
	}
	memset(b, 0, sizeof(b));
	g_assert_false(digest_equal(a, b));
}

static void test_nonce_expiry(void)
{
	struct nonce nonce = { 0 };

	g_assert_false(nonce_use(&nonce, "", 0));
	g_assert_true(nonce_make(&nonce, 100 * SECOND));
	g_assert_cmpuint(strlen(nonce.text), ==, 32);
	g_assert_true(nonce_use(&nonce, nonce.text, 100 * SECOND + NONCE_FIRST_NS));
	g_assert_false(nonce_use(&nonce, nonce.text, 100 * SECOND + NONCE_FIRST_NS + 1));
	nonce.proven = true;
	g_assert_true(nonce_use(&nonce, nonce.text, 100000 * SECOND));
}

static void test_nonce_count(void)
{
	struct nonce nonce;
	unsigned int i;

	g_assert_true(nonce_make(&nonce, 0));
	for (i = 0; i < NONCE_USES_MAX; i++)
		g_assert_true(nonce_use(&nonce, nonce.text, 0));
	g_assert_false(nonce_use(&nonce, nonce.text, 0));
}

static void test_nonce_binding(void)
{
	struct nonce one, other;

	g_assert_true(nonce_make(&one, 0) && nonce_make(&other, 0));
	g_assert_cmpstr(one.text, !=, other.text);
	g_assert_true(nonce_use(&one, one.text, 0));
	g_assert_false(nonce_use(&one, other.text, 0));
	g_assert_false(nonce_use(&one, "", 0));
}

static const char *admit(struct sources *sources, const char *text, uint32_t random, int64_t now,
			 struct source **source)
{
	const struct volet_config config = {
		.max_unauthenticated = 8, .max_unauthenticated_per_source = 3,
	};
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return sources_admit(sources, &config, (struct sockaddr *)&in, random, now, source);
	g_assert_cmpint(inet_pton(AF_INET6, text, &in6.sin6_addr), ==, 1);
	return sources_admit(sources, &config, (struct sockaddr *)&in6, random, now, source);
}

static void test_per_source(void)
{
	struct sources sources;
	struct source *source, *other;
	unsigned int i;

	sources_init(&sources);
	for (i = 0; i < 3; i++)
		g_assert_null(admit(&sources, "192.0.2.1", 0, 0, &source));
	g_assert_nonnull(strstr(admit(&sources, "192.0.2.1", 0, 0, &other), "from there"));
	/* The same machine by its mapped address; another machine; a place that became free. */
	g_assert_nonnull(admit(&sources, "::ffff:192.0.2.1", 0, 0, &other));
	g_assert_null(admit(&sources, "192.0.2.2", 0, 0, &other));
	sources_release(&sources, source);
	g_assert_null(admit(&sources, "192.0.2.1", ~0U, 0, &source));
	/* One customer's IPv6 addresses are one source. */
	sources_clear(&sources);
	sources_init(&sources);
	g_assert_null(admit(&sources, "2001:db8:1:2::1", 0, 0, &source));
	g_assert_null(admit(&sources, "2001:db8:1:2::2", 0, 0, &other));
	g_assert_true(source == other);
	g_assert_null(admit(&sources, "2001:db8:1:3::1", 0, 0, &other));
	g_assert_true(source != other);
	sources_clear(&sources);
}

/* `open` connections are open, each from elsewhere: how many of 1000 tries are refused? */
static unsigned int refused_of_1000(unsigned int open)
{
	struct sources sources;
	struct source *source;
	unsigned int i, n = 0;
	char text[64];

	sources_init(&sources);
	for (i = 0; i < open; i++) {
		g_snprintf(text, sizeof(text), "192.0.2.%u", i);
		/* The largest remainder is never refused early. */
		g_assert_null(admit(&sources, text, 4, 0, &source));
		if (sources.unauthenticated <= i)
			g_error("not counted");
	}
	for (i = 0; i < 1000; i++) {
		if (admit(&sources, "198.51.100.1", g_test_rand_int(), 0, &source))
			n++;
		else
			sources_release(&sources, source);
	}
	sources_clear(&sources);
	return n;
}

static void test_early_refusal(void)
{
	unsigned int at4 = refused_of_1000(4);

	g_assert_cmpuint(refused_of_1000(0), ==, 0);
	g_assert_cmpuint(refused_of_1000(3), ==, 0);
	g_assert_cmpuint(at4, >, 100);	/* 1 of 5 */
	g_assert_cmpuint(at4, <, 300);
}

static void test_total(void)
{
	struct sources sources;
	struct source *source;
	unsigned int open = 0;
	uint32_t random;
	char text[64];

	sources_init(&sources);
	while (sources.unauthenticated < 8) {
		g_snprintf(text, sizeof(text), "192.0.2.%u", open++);
		for (random = 0; random < 60 && admit(&sources, text, random, 0, &source); random++)
			;
		g_assert_cmpuint(random, <, 60);
	}
	for (random = 0; random < 60; random++)
		g_assert_nonnull(admit(&sources, "198.51.100.1", random, 0, &source));
	sources_clear(&sources);
}

static void test_wrong_answers(void)
{
	struct source source = { 0 };
	int64_t now = 1000 * SECOND;
	unsigned int i, tries = 0;

	for (i = 0; i < SOURCES_WRONG_BURST; i++) {
		g_assert_true(sources_may_try(&source, now));
		sources_wrong(&source, now);
	}
	g_assert_false(sources_may_try(&source, now));
	g_assert_false(sources_may_try(&source, now + SOURCES_WRONG_NS - 1));
	g_assert_true(sources_may_try(&source, now + SOURCES_WRONG_NS));
	/* A whole day of guessing as fast as it goes. */
	for (i = 0; i < 24 * 60 * 60; i++, now += SECOND) {
		if (sources_may_try(&source, now)) {
			sources_wrong(&source, now);
			tries++;
		}
	}
	g_assert_cmpuint(tries, <=, 24 * 60 * 2);
}

static void test_wrong_answers_stay(void)
{
	struct sources sources;
	struct source *source;
	unsigned int i;

	/* Leaving and coming again doesn't clear the debt; time does. */
	sources_init(&sources);
	g_assert_null(admit(&sources, "192.0.2.1", 0, 100 * SECOND, &source));
	for (i = 0; i < SOURCES_WRONG_BURST; i++)
		sources_wrong(source, 100 * SECOND);
	sources_release(&sources, source);
	g_assert_nonnull(admit(&sources, "192.0.2.1", 0, 120 * SECOND, &source));
	g_assert_null(admit(&sources, "192.0.2.2", 0, 120 * SECOND, &source));
	g_assert_null(admit(&sources, "192.0.2.1", 0, 130 * SECOND, &source));
	sources_clear(&sources);
}

static void test_outq_empty(void)
{
	struct outq outq = { 0 };

	g_assert_cmpint(outq_age(&outq, 0, 0, 0), ==, 0);
	g_assert_cmpint(outq_age(&outq, 250 * MS, 1000, 0), ==, 0);
	g_assert_cmpint(outq_age(&outq, 100 * SECOND, 1000, 0), ==, 0);
}

static void test_outq_stuck(void)
{
	struct outq outq = { 0 };
	int64_t t;

	outq_age(&outq, 0, 500, 0);
	/* Written after the sample at 0, seen first at 250: at most 250 old then. */
	for (t = 250; t <= 60000; t += 250) {
		int64_t age = outq_age(&outq, t * MS, 500, 4000);

		g_assert_cmpint(age, ==, MIN(t, (OUTQ_SAMPLES - 1) * 250) * MS);
	}
}

/* A queue that moves, but so slowly that each byte waits `delay` samples. */
static void test_outq_slow(void)
{
	unsigned int delay, i;

	for (delay = 1; delay < 40; delay++) {
		struct outq outq = { 0 };
		uint64_t acked;
		int64_t age = 0;

		for (i = 0; i < 400; i++) {
			acked = i < delay ? 0 : 1000 * (i - delay);
			age = outq_age(&outq, i * 250 * MS, acked, (uint32_t)(1000 * i - acked));
		}
		g_assert_cmpint(age, ==, delay * 250 * MS);
	}
}

/* Against the truth: bytes are written at random times, and acknowledged in order at others. */
static void test_outq_random(void)
{
	enum { BYTES = 20000 };
	g_autofree int64_t *written_at = g_new0(int64_t, BYTES);
	struct outq outq = { 0 };
	unsigned int written = 0, acked = 0;
	int64_t now = 0, looked = 0, truth, age;

	outq_age(&outq, 0, 0, 0);
	while (written < BYTES) {
		if (g_test_rand_bit())
			written_at[written++] = now;
		if (acked < written && g_test_rand_int_range(0, 100) < 49)
			acked++;
		now += g_test_rand_int_range(0, 20) * MS;
		/* Never sooner than voletd does: what it remembers reaches back as far as it has samples. */
		if (now - looked < OUTQ_SAMPLE_MS * MS || g_test_rand_int_range(0, 8) != 0)
			continue;
		looked = now;
		truth = acked < written ? now - written_at[acked] : 0;
		age = outq_age(&outq, now, acked, written - acked);
		if (truth >= (OUTQ_SAMPLES - 1) * OUTQ_SAMPLE_MS * MS)
			continue;
		g_assert_cmpint(age, >=, truth);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/digest/vectors", test_vectors);
	g_test_add_func("/digest/longest", test_longest);
	g_test_add_func("/digest/equal", test_equal);
	g_test_add_func("/nonce/expiry", test_nonce_expiry);
	g_test_add_func("/nonce/count", test_nonce_count);
	g_test_add_func("/nonce/binding", test_nonce_binding);
	g_test_add_func("/sources/per-source", test_per_source);
	g_test_add_func("/sources/early-refusal", test_early_refusal);
	g_test_add_func("/sources/total", test_total);
	g_test_add_func("/sources/wrong-answers", test_wrong_answers);
	g_test_add_func("/sources/wrong-answers-stay", test_wrong_answers_stay);
	g_test_add_func("/outq/empty", test_outq_empty);
	g_test_add_func("/outq/stuck", test_outq_stuck);
	g_test_add_func("/outq/slow", test_outq_slow);
	g_test_add_func("/outq/random", test_outq_random);
	return g_test_run();
}
