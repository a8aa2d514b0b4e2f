// SPDX-License-Identifier: MIT
/* One write for each line of the log; see log.h. */
#include "log.h"

#include <limits.h>
#include <stdio.h>

void log_by_line(void)
{
	static char line[PIPE_BUF];

	setvbuf(stderr, line, _IOLBF, sizeof(line));
}
