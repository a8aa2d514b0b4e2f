// SPDX-License-Identifier: MIT
/* The one program of the kernel that the KUnit tests run in: loads their module, and ends. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	int fd = open("/test.ko", O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		perror("/test.ko");
	return reboot(RB_POWER_OFF);
}
