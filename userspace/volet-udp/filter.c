// SPDX-License-Identifier: MIT
/*
 * volet-udp's system calls; see filter.h. A connected UDP socket is no wall by itself: sendto()
 * takes an address all the same, connect() takes another peer, and sendmsg() has its address in
 * memory, where no filter can look. sendto()'s address is a register: it must be none. So there
 * is sendto() without one, and nothing else that sends, connects, sets options or makes sockets.
 */
#include "filter.h"

#include <seccomp.h>
#include <sys/socket.h>

static const char *const plain[] = {
	"recvfrom", "poll", "ppoll", "clock_gettime", "restart_syscall", "rt_sigreturn",
	"exit_group",
	/* giving memory back, once: the filter's own */
	"munmap", "madvise", "brk",
#ifdef __SANITIZE_ADDRESS__
	/* a build for tests, whose run-time library wants these */
	"mmap", "futex", "getrandom", "gettid", "sched_yield", "sigaltstack",
#endif
};

static int fill(void *filter, const void *data)
{
	const struct scmp_arg_cmp to_peer[] = {
		SCMP_CMP64(3, SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(MSG_DONTWAIT | MSG_NOSIGNAL), 0),
		SCMP_CMP64(4, SCMP_CMP_EQ, 0),
		SCMP_CMP64(5, SCMP_CMP_EQ, 0),
	};
	int ret = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 3, to_peer);

	(void)data;
	return ret ? ret : sandbox_allow(filter, plain, sizeof(plain) / sizeof(plain[0]));
}

bool filter_load(char why[SANDBOX_WHY_MAX])
{
	return sandbox_load(fill, NULL, why);
}
