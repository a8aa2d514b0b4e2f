/* SPDX-License-Identifier: MIT */
/*
 * How long the oldest byte that the viewer hasn't acknowledged has waited in a TCP socket.
 * The kernel says how many bytes were acknowledged and how many wait; their sum is what
 * was ever written. From a few of these sums with their times follows when the byte
 * that is next to be acknowledged was written.
 */
#ifndef VOLET_OUTQ_H
#define VOLET_OUTQ_H

#include <stdint.h>

#define OUTQ_SAMPLE_MS	250
#define OUTQ_SAMPLES	64	/* times OUTQ_SAMPLE_MS is more than any age limit */

struct outq {
	struct { int64_t ns; uint64_t written; } samples[OUTQ_SAMPLES];
	unsigned int newest, count;
};

/*
 * Take a sample and say how old that byte can be at most, in ns; 0 when none waits. It may
 * have been written any time after the sample before it was seen, so the answer is up
 * to one sampling interval too much, and never too little. The first sample has to be taken
 * before anything is written.
 */
int64_t outq_age(struct outq *outq, int64_t now_ns, uint64_t acked, uint32_t waiting);

#endif
