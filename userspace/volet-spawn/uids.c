// SPDX-License-Identifier: MIT
/* User ids for sessions; see uids.h. */
#include "uids.h"

uid_t uids_take(struct uids *uids, int64_t now_ns)
{
	unsigned int i;

	for (i = 0; i < uids->count; i++) {
		unsigned int n = (uids->next + i) % uids->count;

		if (uids->alive[n] || uids->free_ns[n] > now_ns)
			continue;
		uids->alive[n] = true;
		uids->next = (n + 1) % uids->count;
		return uids->first + n;
	}
	return 0;
}

void uids_give_back(struct uids *uids, uid_t uid, int64_t now_ns)
{
	unsigned int n = uid - uids->first;

	uids->alive[n] = false;
	uids->free_ns[n] = now_ns + UIDS_QUARANTINE_NS;
}
