// SPDX-License-Identifier: MIT
/* See trace.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "trace.h"

int trace_clear(unsigned int camera)
{
	return board_debugfs_write(camera, "trace", "0");
}

static int parse_line(const char *line, struct trace_event *event)
{
	char what[16], rest[32] = "";

	memset(event, 0, sizeof(*event));
	if (sscanf(line, "%lf %15s %31s", &event->time, what, rest) < 2)
		return -EINVAL;

	if (!strcmp(what, "write") || !strcmp(what, "read")) {
		event->kind = what[0] == 'w' ? TRACE_WRITE : TRACE_READ;
		event->page = TRACE_SYSTEM;
		if (rest[0] == 'S')
			return sscanf(rest, "S:%x=%x", &event->reg, &event->val) == 2 ? 0 : -EINVAL;
		if (!strchr(rest, ':'))
			return sscanf(rest, "%x=%x", &event->reg, &event->val) == 2 ? 0 : -EINVAL;
		return sscanf(rest, "%u:%x=%x", &event->page, &event->reg, &event->val) == 3 ?
		       0 : -EINVAL;
	}

	event->kind = TRACE_OTHER;
	if (!strcmp(what, "nack")) {
		event->kind = TRACE_NACK;
	} else if (strcmp(what, "stream") && (!strcmp(rest, "on") || !strcmp(rest, "off"))) {
		event->kind = TRACE_PIN;
		event->on = !strcmp(rest, "on");
		snprintf(event->pin, sizeof(event->pin), "%s", what);
	}
	return 0;
}

int trace_get(unsigned int camera, struct trace *trace)
{
	char *text = board_debugfs_read(camera, "trace"), *line, *save;
	size_t lines = 0;
	int ret = 0;

	memset(trace, 0, sizeof(*trace));
	if (!text)
		return -errno;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	trace->events = calloc(lines + 1, sizeof(*trace->events));
	for (line = strtok_r(text, "\n", &save); line && !ret; line = strtok_r(NULL, "\n", &save))
		ret = parse_line(line, &trace->events[trace->num++]);
	free(text);
	if (ret)
		trace_free(trace);
	return ret;
}

void trace_free(struct trace *trace)
{
	free(trace->events);
	memset(trace, 0, sizeof(*trace));
}

int trace_last_write(const struct trace *trace, unsigned int page, unsigned int reg,
		     size_t *index)
{
	for (size_t i = trace->num; i-- > 0;) {
		const struct trace_event *event = &trace->events[i];

		if (event->kind == TRACE_WRITE && event->page == page && event->reg == reg) {
			if (index)
				*index = i;
			return event->val;
		}
	}
	return -1;
}

int trace_last_write16(const struct trace *trace, unsigned int page, unsigned int reg)
{
	int high = trace_last_write(trace, page, reg, NULL);
	int low = trace_last_write(trace, page, reg + 1, NULL);

	return high < 0 || low < 0 ? -1 : high << 8 | low;
}

size_t trace_count(const struct trace *trace, enum trace_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < trace->num; i++)
		count += trace->events[i].kind == kind;
	return count;
}

size_t trace_find_pin(const struct trace *trace, const char *pin, bool on, size_t from)
{
	size_t i;

	for (i = from; i < trace->num; i++)
		if (trace->events[i].kind == TRACE_PIN && trace->events[i].on == on &&
		    !strcmp(trace->events[i].pin, pin))
			break;
	return i;
}
