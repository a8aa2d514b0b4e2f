/* SPDX-License-Identifier: MIT */
/*
 * For the KUnit tests, after the driver's own file: probe and remove, as the kernel's driver core
 * calls them for a chip on an I2C bus that is nothing but its registers. Each step of probe fails
 * in turn (see steps.h): that error comes out, and nothing is kept.
 */
#ifndef VOLET_KUNIT_PROBE_H
#define VOLET_KUNIT_PROBE_H

#include <linux/clk-provider.h>
#include <linux/clkdev.h>
#include <linux/regulator/machine.h>

#define SENSOR_ADDRESS	0x37
#define MORE_THAN_STEPS	100

static const u32 probe_lanes[] = { 1, 2 };
static const u64 probe_freqs[] = { 297000000 };
static const struct software_node probe_receiver = { .name = "probe-receiver" };
static const struct software_node probe_sink = { .name = "port@0", .parent = &probe_receiver };
static const struct software_node probe_remote = { .name = "endpoint@0", .parent = &probe_sink };
static const struct property_entry probe_properties[] = {
	PROPERTY_ENTRY_REF("remote-endpoint", &probe_remote),
	PROPERTY_ENTRY_U32("bus-type", 4),
	PROPERTY_ENTRY_U32_ARRAY("data-lanes", probe_lanes),
	PROPERTY_ENTRY_U64_ARRAY_LEN("link-frequencies", probe_freqs, ARRAY_SIZE(probe_freqs)),
	{}
};
static const struct software_node probe_sensor = { .name = "probe-sensor" };
static const struct software_node probe_port = { .name = "port@0", .parent = &probe_sensor };
static const struct software_node probe_endpoint = {
	.name = "endpoint@0", .parent = &probe_port, .properties = probe_properties,
};
static const struct software_node *probe_nodes[] = {
	&probe_receiver, &probe_sink, &probe_remote, &probe_sensor, &probe_port, &probe_endpoint, NULL,
};

/* What was true when probe or remove returned: the driver core tidies up after both. */
struct seen {
	int ret, usage, supplies, clocks;
	unsigned int disabled, autosuspends;
	enum rpm_status status;
};

static struct {
	struct chip *chip;
	struct i2c_adapter adapter;
	struct i2c_client *client;
	struct clk_hw *clock;
	struct clk_lookup *lookup;
	int (*probe)(struct i2c_client *client);
	void (*remove)(struct i2c_client *client);
	struct seen seen;
} bus;

static int bus_xfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int num)
{
	struct chip *chip = bus.chip;
	unsigned int val;
	int i, byte;

	for (i = 0; i < num; i++) {
		struct i2c_msg *message = &messages[i];

		if (message->addr != SENSOR_ADDRESS)
			return -ENXIO;
		for (byte = 0; byte < message->len; byte++) {
			if (message->flags & I2C_M_RD) {
				chip_read(chip, chip->at++, &val);
				message->buf[byte] = val;
			} else if (!byte) {
				chip->at = message->buf[0];
			} else if (chip_write(chip, chip->at++, message->buf[byte])) {
				return -ENXIO;
			}
		}
	}
	return num;
}

static u32 bus_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C;
}

static const struct i2c_algorithm bus_algorithm = {
	.master_xfer = bus_xfer,
	.functionality = bus_functionality,
};

static void look(struct device *dev, int ret)
{
	bus.seen = (struct seen) {
		.ret = ret,
		.usage = atomic_read(&dev->power.usage_count),
		.disabled = dev->power.disable_depth,
		.autosuspends = dev->power.use_autosuspend,
		.status = dev->power.runtime_status,
		.supplies = steps.supplies,
		.clocks = steps.clocks,
	};
}

static int bus_probe(struct i2c_client *client)
{
	int ret = bus.probe(client);

	look(&client->dev, ret);
	return ret;
}

static void bus_remove(struct i2c_client *client)
{
	bus.remove(client);
	look(&client->dev, 0);
}

/* With this the driver takes the client, which no firmware describes. */
static const struct i2c_device_id bus_ids[] = { { "gc2053-kunit" }, {} };

static void bus_close(void *data)
{
	if (bus.client)
		i2c_unregister_device(bus.client);
	gc2053_i2c_driver.id_table = NULL;
	gc2053_i2c_driver.probe = bus.probe;
	gc2053_i2c_driver.remove = bus.remove;
	if (bus.lookup)
		clkdev_drop(bus.lookup);
	if (!IS_ERR_OR_NULL(bus.clock))
		clk_hw_unregister_fixed_rate(bus.clock);
	i2c_del_adapter(&bus.adapter);
	software_node_unregister_node_group(probe_nodes);
}

/* A bus with a client on it that no driver has yet, and its clock */
static void bus_open(struct kunit *test, struct chip *chip, unsigned long rate)
{
	struct i2c_board_info info = {
		.type = "gc2053-kunit", .addr = SENSOR_ADDRESS, .swnode = &probe_sensor,
	};

	memset(&bus, 0, sizeof(bus));
	memset(&steps, 0, sizeof(steps));
	bus.chip = chip;
	chip->regs[0][0xf0] = 0x20;
	chip->regs[0][0xf1] = 0x53;
	regulator_has_full_constraints();
	KUNIT_ASSERT_EQ(test, 0, software_node_register_node_group(probe_nodes));

	bus.adapter.owner = THIS_MODULE;
	bus.adapter.algo = &bus_algorithm;
	strscpy(bus.adapter.name, "kunit", sizeof(bus.adapter.name));
	KUNIT_ASSERT_EQ(test, 0, i2c_add_adapter(&bus.adapter));
	bus.probe = gc2053_i2c_driver.probe;
	bus.remove = gc2053_i2c_driver.remove;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, bus_close, NULL));

	bus.clock = clk_hw_register_fixed_rate(NULL, "kunit-xclk", NULL, 0, rate);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bus.clock);
	bus.client = i2c_new_client_device(&bus.adapter, &info);
	if (IS_ERR(bus.client)) {
		bus.client = NULL;
		KUNIT_FAIL_AND_ABORT(test, "no client");
	}
	bus.lookup = clkdev_hw_create(bus.clock, NULL, "%s", dev_name(&bus.client->dev));
	KUNIT_ASSERT_NOT_NULL(test, bus.lookup);

	gc2053_i2c_driver.id_table = bus_ids;
	gc2053_i2c_driver.probe = bus_probe;
	gc2053_i2c_driver.remove = bus_remove;
}

static bool bind(void)
{
	steps.num = 0;
	return device_attach(&bus.client->dev) > 0;
}

/* Nothing is on, held or enabled, and runtime PM is as for a device without a driver. */
static void check_nothing_is_kept(struct kunit *test)
{
	const char *why = steps.failed ? steps.failed : "after remove";

	KUNIT_EXPECT_EQ_MSG(test, 0, bus.seen.supplies, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, bus.seen.clocks, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, bus.seen.usage, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 1, bus.seen.disabled, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, bus.seen.autosuspends, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, RPM_SUSPENDED, bus.seen.status, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, steps.states, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, steps.endpoints, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, steps.handlers, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, steps.subdevs, "%s", why);
	KUNIT_EXPECT_EQ_MSG(test, 0, steps.devices, "%s", why);
}

static void each_step_of_probe_may_fail(struct kunit *test)
{
	struct bench *bench = test->priv;
	unsigned int at, byte;

	bus_open(test, &bench->chip, 24000000);
	for (at = 1; at < MORE_THAN_STEPS; at++) {
		steps.fail_at = at;
		if (bind())
			break;
		KUNIT_ASSERT_NOT_NULL(test, steps.failed);
		/* Memory that isn't there has its own error; what fails is the last step. */
		KUNIT_EXPECT_EQ_MSG(test, strstr(steps.failed, "kzalloc") ? -ENOMEM : STEP_ERROR,
				    bus.seen.ret, "%s", steps.failed);
		check_nothing_is_kept(test);
		steps.failed = NULL;
	}
	KUNIT_EXPECT_EQ(test, at, steps.num + 1);
	KUNIT_EXPECT_LT(test, 15, steps.num);
	device_release_driver(&bus.client->dev);
	check_nothing_is_kept(test);

	/* Another chip */
	steps.fail_at = 0;
	for (byte = 0; byte < 2; byte++) {
		bench->chip.regs[0][0xf0 + byte] ^= 0x10;
		KUNIT_EXPECT_FALSE(test, bind());
		KUNIT_EXPECT_EQ(test, -ENXIO, bus.seen.ret);
		check_nothing_is_kept(test);
		bench->chip.regs[0][0xf0 + byte] ^= 0x10;
	}
	KUNIT_EXPECT_TRUE(test, bind());
	device_release_driver(&bus.client->dev);
	check_nothing_is_kept(test);

	/* The nodes of firmware aren't held either: they go with the last reference. */
	i2c_unregister_device(bus.client);
	bus.client = NULL;
	software_node_unregister_node_group(probe_nodes);
	KUNIT_EXPECT_NULL(test, software_node_fwnode(&probe_endpoint));
	KUNIT_ASSERT_EQ(test, 0, software_node_register_node_group(probe_nodes));
}

static void other_clocks_are_refused(struct kunit *test)
{
	struct bench *bench = test->priv;

	bus_open(test, &bench->chip, 24000001);
	KUNIT_EXPECT_FALSE(test, bind());
	KUNIT_EXPECT_EQ(test, -EINVAL, bus.seen.ret);
	check_nothing_is_kept(test);
}

/* After probe the sensor is on and lingers; what runtime PM does then, and remove in each state */
static void power_follows_runtime_pm(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct device *dev;

	bus_open(test, &bench->chip, 24000000);
	dev = &bus.client->dev;

	KUNIT_ASSERT_TRUE(test, bind());
	KUNIT_EXPECT_EQ(test, 3, bus.seen.supplies);
	KUNIT_EXPECT_EQ(test, 1, bus.seen.clocks);
	KUNIT_EXPECT_EQ(test, 0, bus.seen.usage);
	KUNIT_EXPECT_EQ(test, 0, bus.seen.disabled);
	KUNIT_EXPECT_EQ(test, RPM_ACTIVE, bus.seen.status);
	KUNIT_EXPECT_EQ(test, 1000, dev->power.autosuspend_delay);
	KUNIT_EXPECT_TRUE(test, dev->power.use_autosuspend);
	KUNIT_EXPECT_NE(test, 0, READ_ONCE(dev->power.last_busy));

	/* Delays, whatever a slow machine adds: after the first supply and the reset, before the reset */
	KUNIT_EXPECT_LE(test, 50 + 3342, steps.slept_us);
	steps.slept_us = 0;
	KUNIT_EXPECT_EQ(test, 0, pm_runtime_suspend(dev));
	KUNIT_EXPECT_LE(test, 83, steps.slept_us);
	KUNIT_EXPECT_EQ(test, 0, steps.supplies);
	KUNIT_EXPECT_EQ(test, 0, steps.clocks);
	KUNIT_EXPECT_EQ(test, 0, pm_runtime_resume_and_get(dev));
	KUNIT_EXPECT_EQ(test, 3, steps.supplies);
	KUNIT_EXPECT_EQ(test, 1, steps.clocks);
	pm_runtime_put_sync_suspend(dev);
	KUNIT_EXPECT_EQ(test, 0, steps.supplies);

	device_release_driver(dev);
	check_nothing_is_kept(test);
	KUNIT_ASSERT_TRUE(test, bind());
	device_release_driver(dev);
	check_nothing_is_kept(test);
}

#endif
