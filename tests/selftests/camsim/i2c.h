/* SPDX-License-Identifier: MIT */
/* Speaking to the sensor past its driver. */
#ifndef VOLET_SELFTESTS_CAMSIM_I2C_H
#define VOLET_SELFTESTS_CAMSIM_I2C_H

#include <linux/i2c.h>
#include <linux/i2c-dev.h>

#include "common.h"

#define ADDRESS		0x37
#define REG_PAGE	0xfe

static inline int open_bus(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/i2c-%u", CAMERA);
	if (access(path, F_OK) && system("modprobe i2c-dev"))
		return -ENODEV;
	sleep_ms(100);
	return open(path, O_RDWR | O_CLOEXEC);
}

static inline int transfer(int fd, struct i2c_msg *msgs, unsigned int n)
{
	struct i2c_rdwr_ioctl_data data = { .msgs = msgs, .nmsgs = n };

	return ioctl(fd, I2C_RDWR, &data) < 0 ? -errno : 0;
}

static inline int write_regs(int fd, uint8_t reg, const uint8_t *values, unsigned int n)
{
	uint8_t bytes[16] = { reg };
	struct i2c_msg msg = { .addr = ADDRESS, .len = n + 1, .buf = bytes };

	memcpy(bytes + 1, values, n);
	return transfer(fd, &msg, 1);
}

static inline int write_reg(int fd, uint8_t reg, uint8_t value)
{
	return write_regs(fd, reg, &value, 1);
}

static inline int read_regs(int fd, uint8_t reg, uint8_t *values, unsigned int n)
{
	struct i2c_msg msgs[] = {
		{ .addr = ADDRESS, .len = 1, .buf = &reg },
		{ .addr = ADDRESS, .flags = I2C_M_RD, .len = n, .buf = values },
	};

	return transfer(fd, msgs, 2);
}

static inline int read_reg(int fd, uint8_t reg)
{
	uint8_t value;
	int ret = read_regs(fd, reg, &value, 1);

	return ret ? ret : value;
}

#endif
