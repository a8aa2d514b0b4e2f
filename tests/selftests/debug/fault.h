/* SPDX-License-Identifier: MIT */
/*
 * The kernel's fault injection as one task sees it: the n-th allocation from now that this task
 * makes fails, and no other does. Needs CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC and their debugfs.
 */
#ifndef VOLET_SELFTESTS_DEBUG_FAULT_H
#define VOLET_SELFTESTS_DEBUG_FAULT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../board.h"

#define FAULT_DEBUGFS	"/sys/kernel/debug/"
#define FAULT_NTH	"/proc/thread-self/fail-nth"

/* Where a function of the kernel begins, and where the next one does */
static inline int fault_find_function(const char *name, unsigned long *start, unsigned long *end)
{
	char *text = board_read_file("/proc/kallsyms"), key[64], *found;
	int ret = -ENOENT;

	if (!text)
		return -errno;
	snprintf(key, sizeof(key), " %s\n", name);
	found = strstr(text, key);
	if (found) {
		while (found > text && found[-1] != '\n')
			found--;
		*start = strtoul(found, NULL, 16);
		*end = ~0ul;
		for (char *line = text; line; line = strchr(line, '\n'), line += !!line) {
			unsigned long at = strtoul(line, NULL, 16);

			if (!*line)
				break;
			if (at > *start && at < *end)
				*end = at;
		}
		ret = 0;
	}
	free(text);
	return ret;
}

/* No allocation fails that this function, or what it calls, makes. */
static inline int fault_spare(const char *function)
{
	static const char * const names[] = { "failslab", "fail_page_alloc" };
	unsigned long ends[2];
	int ret = fault_find_function(function, &ends[0], &ends[1]);

	for (size_t i = 0; !ret && i < 4; i++) {
		char path[64], text[32];

		snprintf(path, sizeof(path), FAULT_DEBUGFS "%s/reject-%s", names[i / 2],
			 i % 2 ? "end" : "start");
		snprintf(text, sizeof(text), "%#lx", ends[i % 2]);
		ret = board_write_file(path, text);
	}
	return ret;
}

/* Allocations that may wait fail as well, and without a trace of each in the log. */
static inline int fault_setup(void)
{
	static const char * const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" }, { "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" }, { "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" }, { "fail_page_alloc/min-order", "0" },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(settings) / sizeof(settings[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), FAULT_DEBUGFS "%s", settings[i][0]);
		ret = board_write_file(path, settings[i][1]);
	}
	return ret;
}

/*
 * What `act` returned with the n-th allocation failing; *hit is whether there was an n-th. `nth`
 * is an open FAULT_NTH of the calling thread.
 */
static inline int fault_run(int nth, unsigned int n, int (*act)(void *), void *data, bool *hit)
{
	char text[16] = "";
	int len = snprintf(text, sizeof(text), "%u", n), ret;

	if (pwrite(nth, text, len, 0) != len)
		abort();
	ret = act(data);
	if (pread(nth, text, sizeof(text) - 1, 0) < 1 || pwrite(nth, "0", 1, 0) != 1)
		abort();
	*hit = !atoi(text);
	return ret;
}

#endif
