// SPDX-License-Identifier: MIT
/* The age of the oldest unacknowledged byte; see outq.h. */
#include "outq.h"

int64_t outq_age(struct outq *outq, int64_t now_ns, uint64_t acked, uint32_t waiting)
{
	unsigned int i, n;
	int64_t since = now_ns;

	outq->newest = (outq->newest + 1) % OUTQ_SAMPLES;
	outq->samples[outq->newest].ns = now_ns;
	outq->samples[outq->newest].written = acked + waiting;
	if (outq->count < OUTQ_SAMPLES)
		outq->count++;
	if (!waiting)
		return 0;
	/* Back to the newest sample at which all that was written is acknowledged by now. */
	for (i = 0; i < outq->count; i++) {
		n = (outq->newest + OUTQ_SAMPLES - i) % OUTQ_SAMPLES;
		since = outq->samples[n].ns;
		if (outq->samples[n].written <= acked)
			break;
	}
	return now_ns - since;
}
