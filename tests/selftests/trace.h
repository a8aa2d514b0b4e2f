/* SPDX-License-Identifier: MIT */
/* The board's `trace`: which supply, line and register of the sensor changed, and when. */
#ifndef VOLET_SELFTESTS_TRACE_H
#define VOLET_SELFTESTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* As page: a register that is the same from any page, or one of a chip that has no pages */
#define TRACE_SYSTEM	0xff

enum trace_kind {
	TRACE_PIN,
	TRACE_WRITE,
	TRACE_READ,
	TRACE_NACK,
	TRACE_OTHER
};

struct trace_event {
	enum trace_kind kind;
	double time;		/* seconds */
	char pin[16];
	bool on;
	unsigned int page, reg, val;
};

struct trace {
	struct trace_event *events;
	size_t num;
};

int trace_clear(unsigned int camera);
int trace_get(unsigned int camera, struct trace *trace);
void trace_free(struct trace *trace);

/* The last value written to a register, or -1; *index, if given, is where that was. */
int trace_last_write(const struct trace *trace, unsigned int page, unsigned int reg,
		     size_t *index);

/* The same for a pair of registers that make one big-endian number */
int trace_last_write16(const struct trace *trace, unsigned int page, unsigned int reg);

/* How many events of a kind there are */
size_t trace_count(const struct trace *trace, enum trace_kind kind);

/* The index of the first change of a pin to that state at or after `from`, or trace->num */
size_t trace_find_pin(const struct trace *trace, const char *pin, bool on, size_t from);

#endif
