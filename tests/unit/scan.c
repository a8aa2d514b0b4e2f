// SPDX-License-Identifier: MIT
/* See scan.h. Root can read what is undumpable, and that is the point: no wall is relied on. */
#include "scan.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int count(const uint8_t *in, size_t size, const uint8_t *bytes, size_t length)
{
	const uint8_t *at = in;
	int n = 0;

	while ((at = memmem(at, size - (size_t)(at - in), bytes, length))) {
		n++;
		at++;
	}
	return n;
}

int scan_process(pid_t pid, const uint8_t *bytes, size_t length)
{
	g_autofree char *maps = g_strdup_printf("/proc/%d/maps", pid), *text = NULL;
	g_autofree char *mem = g_strdup_printf("/proc/%d/mem", pid);
	int fd = open(mem, O_RDONLY | O_CLOEXEC), found = 0;
	g_auto(GStrv) lines = NULL;
	size_t read = 0;
	unsigned int i;

	if (fd < 0 || !g_file_get_contents(maps, &text, NULL, NULL))
		return -1;
	lines = g_strsplit(text, "\n", -1);
	for (i = 0; lines[i]; i++) {
		unsigned long long from, to;
		g_autofree uint8_t *copy = NULL;
		ssize_t n;
		char r;

		/* A sanitizer's shadow is terabytes of nothing. */
		if (sscanf(lines[i], "%llx-%llx %c", &from, &to, &r) != 3 || r != 'r' ||
		    to - from > 64u << 20)
			continue;
		copy = g_malloc(to - from);
		n = pread(fd, copy, to - from, (off_t)from);
		if (n > 0) {
			found += count(copy, (size_t)n, bytes, length);
			read += (size_t)n;
		}
	}
	close(fd);
	return read ? found : -1;
}
