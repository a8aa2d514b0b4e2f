// SPDX-License-Identifier: MIT
/* Port pairs for RTP over UDP; see ports.h. */
#include "ports.h"

unsigned int ports_take(struct ports *ports, unsigned int first, unsigned int last, int64_t now_ns)
{
	unsigned int i, pairs = (last - first + 1) / 2;

	for (i = 0; i < pairs; i++) {
		unsigned int n = first / 2 + (ports->next + i) % pairs;

		if (ports->taken[n] || ports->free_ns[n] > now_ns)
			continue;
		ports->taken[n] = true;
		ports->next = (ports->next + i + 1) % pairs;
		return 2 * n;
	}
	return 0;
}

void ports_give_back(struct ports *ports, unsigned int port, int64_t now_ns)
{
	ports->taken[port / 2] = false;
	ports->free_ns[port / 2] = now_ns + PORTS_QUARANTINE_NS;
}
