// SPDX-License-Identifier: MIT
/*
 * While this module is loaded the sensor is on and runtime PM is off for it, as in a kernel
 * without CONFIG_PM: userspace has no other way to bring that about.
 */
#include <linux/device.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>

static char *sensor = "0-0037";
module_param(sensor, charp, 0444);
MODULE_PARM_DESC(sensor, "I2C device to switch runtime PM off for");

static struct device *dev;

static int __init no_runtime_pm_init(void)
{
	int ret;

	dev = bus_find_device_by_name(&i2c_bus_type, NULL, sensor);
	if (!dev)
		return -ENODEV;

	ret = pm_runtime_resume_and_get(dev);
	if (ret) {
		put_device(dev);
		return ret;
	}
	pm_runtime_disable(dev);

	return 0;
}
module_init(no_runtime_pm_init);

static void __exit no_runtime_pm_exit(void)
{
	pm_runtime_enable(dev);
	pm_runtime_put(dev);
	put_device(dev);
}
module_exit(no_runtime_pm_exit);

MODULE_DESCRIPTION("Test aid: a sensor without runtime PM");
MODULE_LICENSE("Dual MIT/GPL");
