// SPDX-License-Identifier: MIT
/* The start-up check, in child processes whose kernel "lacks" what a filter takes away. */
#include <errno.h>
#include <glib.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include "kernel.h"

static const struct kernel_need needs[] = {
	{ KERNEL_LANDLOCK, true, "it can't run" },
	{ KERNEL_SECCOMP, true, "it can't run" },
	{ KERNEL_MEMFD_SEALS, false, "it is weaker" },
};

static void take_away(int call, int error)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	g_assert_cmpint(seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned int)error), call, 0), ==, 0);
	g_assert_cmpint(seccomp_load(ctx), ==, 0);
	seccomp_release(ctx);
}

static void test_all_there(void)
{
	if (g_test_subprocess()) {
		g_assert_true(kernel_check("program", needs, G_N_ELEMENTS(needs)));
		return;
	}
	if (!kernel_has(KERNEL_LANDLOCK)) {
		g_test_skip("the kernel that the test runs on has no Landlock");
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	g_test_trap_assert_stderr_unmatched("*the kernel has no*");
}

static void test_no_landlock(void)
{
	if (g_test_subprocess()) {
		take_away(444, ENOSYS);
		g_assert_false(kernel_check("program", needs, G_N_ELEMENTS(needs)));
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	g_test_trap_assert_stderr("*program: the kernel has no Landlock (CONFIG_SECURITY_LANDLOCK=y*"
				  "it can't run*");
}

static void test_no_seccomp(void)
{
	if (g_test_subprocess()) {
		take_away(SCMP_SYS(seccomp), ENOSYS);
		g_assert_false(kernel_check("program", needs, G_N_ELEMENTS(needs)));
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	g_test_trap_assert_stderr("*the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER=y*");
}

/* Missing, but not required: said, and it runs. */
static void test_no_seals(void)
{
	if (g_test_subprocess()) {
		take_away(SCMP_SYS(memfd_create), ENOSYS);
		g_assert_true(kernel_check("program", needs + 2, 1));
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	g_test_trap_assert_stderr("*the kernel has no sealed memory*it is weaker*");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kernel/all-there", test_all_there);
	g_test_add_func("/kernel/no-landlock", test_no_landlock);
	g_test_add_func("/kernel/no-seccomp", test_no_seccomp);
	g_test_add_func("/kernel/no-seals", test_no_seals);
	return g_test_run();
}
