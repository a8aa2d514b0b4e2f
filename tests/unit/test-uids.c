// SPDX-License-Identifier: MIT
/* Session uids: never two owners, never back before the quarantine is over. */
#include <glib.h>
#include <stdlib.h>

#include "uids.h"

#define SECOND 1000000000LL

static struct uids *uids_new(unsigned int count)
{
	struct uids *uids = g_new0(struct uids, 1);

	uids->first = 61000;
	uids->count = count;
	return uids;
}

static void test_each_once(void)
{
	g_autofree struct uids *uids = uids_new(3);

	g_assert_cmpuint(uids_take(uids, 0), ==, 61000);
	g_assert_cmpuint(uids_take(uids, 0), ==, 61001);
	g_assert_cmpuint(uids_take(uids, 0), ==, 61002);
	/* None is left, for however long, while they live. */
	g_assert_cmpuint(uids_take(uids, 1000 * SECOND), ==, 0);
}

static void test_quarantine(void)
{
	g_autofree struct uids *uids = uids_new(1);

	g_assert_cmpuint(uids_take(uids, 0), ==, 61000);
	uids_give_back(uids, 61000, 5 * SECOND);
	g_assert_cmpuint(uids_take(uids, 5 * SECOND), ==, 0);
	g_assert_cmpuint(uids_take(uids, 5 * SECOND + UIDS_QUARANTINE_NS - 1), ==, 0);
	g_assert_cmpuint(uids_take(uids, 5 * SECOND + UIDS_QUARANTINE_NS), ==, 61000);
}

static void test_in_turn(void)
{
	g_autofree struct uids *uids = uids_new(3);
	uid_t uid = uids_take(uids, 0);

	/* Free again or not, the others come first. */
	uids_give_back(uids, uid, 0);
	g_assert_cmpuint(uids_take(uids, 100 * SECOND), ==, 61001);
	g_assert_cmpuint(uids_take(uids, 100 * SECOND), ==, 61002);
	g_assert_cmpuint(uids_take(uids, 100 * SECOND), ==, 61000);
	g_assert_cmpuint(uids_take(uids, 100 * SECOND), ==, 0);
}

static void test_random_walk(void)
{
	g_autofree struct uids *uids = uids_new(16);
	int64_t freed[16], now = 0;
	bool alive[16] = { false };
	unsigned int i, n, taken = 0;
	uid_t uid;

	for (i = 0; i < 16; i++)
		freed[i] = -UIDS_QUARANTINE_NS;
	for (i = 0; i < 100000; i++) {
		now += g_test_rand_int_range(0, 1000000000);
		if (g_test_rand_bit()) {
			uid = uids_take(uids, now);
			if (!uid)
				continue;
			n = uid - 61000;
			g_assert_cmpuint(n, <, 16);
			g_assert_false(alive[n]);
			g_assert_cmpint(now - freed[n], >=, UIDS_QUARANTINE_NS);
			alive[n] = true;
			taken++;
		} else {
			n = (unsigned int)g_test_rand_int_range(0, 16);
			if (!alive[n])
				continue;
			alive[n] = false;
			freed[n] = now;
			uids_give_back(uids, 61000 + n, now);
		}
	}
	g_assert_cmpuint(taken, >, 1000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/uids/each-once", test_each_once);
	g_test_add_func("/uids/quarantine", test_quarantine);
	g_test_add_func("/uids/in-turn", test_in_turn);
	g_test_add_func("/uids/random-walk", test_random_walk);
	return g_test_run();
}
