// SPDX-License-Identifier: GPL-2.0-only
/*
 * camsim, the virtual camera board: its supplies, clock and lines, as a sensor driver finds
 * them through the device tree, and how the board comes and goes.
 */
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/regulator/driver.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "priv.h"

#define XCLK_HZ		24000000

static char *allocator = "vmalloc";
module_param(allocator, charp, 0444);
MODULE_PARM_DESC(allocator, "memory of the capture queues: vmalloc (default) or dma-contig");

/* Cameras whose memory is there still, and who waits until there is none */
static atomic_t camsim_alive;
static DECLARE_WAIT_QUEUE_HEAD(camsim_freed);

static void camsim_free(struct kref *kref)
{
	struct camsim *camsim = container_of(kref, struct camsim, kref);

	if (camsim->mdev.dev)
		media_device_cleanup(&camsim->mdev);
	camsim_scene_free(camsim);
	camsim_tables_free(camsim->tables);
	camsim_trace_free(camsim->trace);
	vfree(camsim->raw);
	kfree(camsim);
	if (atomic_dec_and_test(&camsim_alive))
		wake_up(&camsim_freed);
}

/* Video nodes outlive remove() while a file is open: each holds the camera. */
struct camsim *camsim_get(struct camsim *camsim)
{
	kref_get(&camsim->kref);
	return camsim;
}

void camsim_put(struct camsim *camsim)
{
	kref_put(&camsim->kref, camsim_free);
}

void camsim_set_pin(struct camsim *camsim, enum sensor_pin pin, bool on)
{
	unsigned long flags;

	spin_lock_irqsave(&camsim->lock, flags);
	if ((camsim->chip.model->pins & BIT(pin)) && !!(camsim->chip.pins & BIT(pin)) != on) {
		sensor_set_pin(&camsim->chip, pin, on, ktime_get_ns());
		camsim_trace_pin(camsim, pin, on);
	}
	spin_unlock_irqrestore(&camsim->lock, flags);

	camsim_report_errors(camsim);
	wake_up_all(&camsim->wait);
}

/* A fault that is armed for the n-th thing switched on counts down to it. */
static bool camsim_fails_to_switch_on(struct camsim *camsim)
{
	unsigned long flags;
	bool fails;

	spin_lock_irqsave(&camsim->lock, flags);
	fails = camsim->faults.power && !--camsim->faults.power;
	spin_unlock_irqrestore(&camsim->lock, flags);
	return fails;
}

/* -----------------------------------------------------------------------------
 * Supplies
 */

static int camsim_supply_enable(struct regulator_dev *rdev)
{
	struct camsim *camsim = rdev_get_drvdata(rdev);

	if (camsim_fails_to_switch_on(camsim))
		return -EIO;
	/* A rail that is missing comes on without anybody's knowing that it doesn't. */
	if (READ_ONCE(camsim->faults.missing_rail) != 1 + rdev_get_id(rdev))
		camsim_set_pin(camsim, rdev_get_id(rdev), true);
	return 0;
}

static int camsim_supply_disable(struct regulator_dev *rdev)
{
	camsim_set_pin(rdev_get_drvdata(rdev), rdev_get_id(rdev), false);
	return 0;
}

static int camsim_supply_is_enabled(struct regulator_dev *rdev)
{
	struct camsim *camsim = rdev_get_drvdata(rdev);

	return !!(READ_ONCE(camsim->chip.pins) & BIT(rdev_get_id(rdev)));
}

static const struct regulator_ops camsim_supply_ops = {
	.enable = camsim_supply_enable,
	.disable = camsim_supply_disable,
	.is_enabled = camsim_supply_is_enabled,
};

#define CAMSIM_SUPPLY				\
	.regulators_node = "regulators",	\
	.ops = &camsim_supply_ops,		\
	.type = REGULATOR_VOLTAGE,		\
	.owner = THIS_MODULE,			\
	.n_voltages = 1

static const struct regulator_desc camsim_supplies[] = {
	{
		.name = "iovdd", .of_match = "iovdd", .id = SENSOR_IOVDD,
		.fixed_uV = 1800000, CAMSIM_SUPPLY,
	},
	{
		.name = "avdd", .of_match = "avdd", .id = SENSOR_AVDD,
		.fixed_uV = 2800000, CAMSIM_SUPPLY,
	},
	{
		.name = "dvdd", .of_match = "dvdd", .id = SENSOR_DVDD,
		.fixed_uV = 1200000, CAMSIM_SUPPLY,
	},
};

static int camsim_supplies_init(struct camsim *camsim)
{
	struct regulator_config config = { .dev = camsim->dev, .driver_data = camsim };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(camsim_supplies); i++) {
		struct regulator_dev *rdev;

		rdev = devm_regulator_register(camsim->dev, &camsim_supplies[i], &config);
		if (IS_ERR(rdev))
			return dev_err_probe(camsim->dev, PTR_ERR(rdev), "supply %s\n",
					     camsim_supplies[i].name);
	}
	return 0;
}

/* -----------------------------------------------------------------------------
 * Clock
 */

static int camsim_clock_enable(struct clk_hw *hw)
{
	struct camsim *camsim = container_of(hw, struct camsim, clock);

	if (camsim_fails_to_switch_on(camsim))
		return -EIO;
	camsim_clock_set(camsim, true);
	return 0;
}

static void camsim_clock_disable(struct clk_hw *hw)
{
	camsim_clock_set(container_of(hw, struct camsim, clock), false);
}

static int camsim_clock_is_enabled(struct clk_hw *hw)
{
	struct camsim *camsim = container_of(hw, struct camsim, clock);

	return READ_ONCE(camsim->clock_on);
}

static unsigned long camsim_clock_rate(struct clk_hw *hw, unsigned long parent_rate)
{
	return XCLK_HZ;
}

static const struct clk_ops camsim_clock_ops = {
	.enable = camsim_clock_enable,
	.disable = camsim_clock_disable,
	.is_enabled = camsim_clock_is_enabled,
	.recalc_rate = camsim_clock_rate,
};

static int camsim_clock_init(struct camsim *camsim)
{
	struct clk_init_data init = { .name = dev_name(camsim->dev), .ops = &camsim_clock_ops };
	int ret;

	camsim->clock.init = &init;
	ret = devm_clk_hw_register(camsim->dev, &camsim->clock);
	if (ret)
		return dev_err_probe(camsim->dev, ret, "clock\n");
	return devm_of_clk_add_hw_provider(camsim->dev, of_clk_hw_simple_get, &camsim->clock);
}

/* -----------------------------------------------------------------------------
 * Reset and power-down lines, as the pins see them: low resets, low powers down
 */

static enum sensor_pin camsim_line_pin(unsigned int offset)
{
	return offset ? SENSOR_PWDN : SENSOR_RESET;
}

static int camsim_line_get(struct gpio_chip *gc, unsigned int offset)
{
	struct camsim *camsim = gpiochip_get_data(gc);

	return !!(READ_ONCE(camsim->chip.pins) & BIT(camsim_line_pin(offset)));
}

static void camsim_line_set(struct gpio_chip *gc, unsigned int offset, int value)
{
	camsim_set_pin(gpiochip_get_data(gc), camsim_line_pin(offset), value);
}

static int camsim_line_output(struct gpio_chip *gc, unsigned int offset, int value)
{
	camsim_line_set(gc, offset, value);
	return 0;
}

static int camsim_line_direction(struct gpio_chip *gc, unsigned int offset)
{
	return GPIO_LINE_DIRECTION_OUT;
}

static int camsim_lines_init(struct camsim *camsim)
{
	struct gpio_chip *gc = &camsim->gpio;

	gc->label = dev_name(camsim->dev);
	gc->parent = camsim->dev;
	gc->owner = THIS_MODULE;
	gc->base = -1;
	gc->ngpio = 2;
	gc->get = camsim_line_get;
	gc->set = camsim_line_set;
	gc->direction_output = camsim_line_output;
	gc->get_direction = camsim_line_direction;
	return devm_gpiochip_add_data(camsim->dev, gc, camsim);
}

/* -----------------------------------------------------------------------------
 * Coming and going
 */

static void camsim_put_action(void *data)
{
	camsim_put(data);
}

static void camsim_put_node_action(void *data)
{
	of_node_put(data);
}

/*
 * The frame on the wires. A line is computed in fours and may reach into the next; lines beyond the
 * array's height are not computed.
 */
static size_t camsim_raw_size(const struct sensor_model *model)
{
	return (model->max_width * model->height + 4) * 2;
}

static struct camsim *camsim_alloc(struct device *dev, const struct sensor_model *model)
{
	struct camsim *camsim;
	unsigned int i;

	camsim = kzalloc(sizeof(*camsim), GFP_KERNEL);
	if (!camsim)
		return NULL;

	atomic_inc(&camsim_alive);
	kref_init(&camsim->kref);
	camsim->dev = dev;
	spin_lock_init(&camsim->lock);
	spin_lock_init(&camsim->queue_lock);
	init_waitqueue_head(&camsim->wait);
	camsim_clock_init_late(camsim);
	for (i = 0; i < CAMSIM_NUM_NODES; i++)
		INIT_LIST_HEAD(&camsim->queues[i].buffers);
	sensor_init(&camsim->chip, model, XCLK_HZ);

	camsim->raw = vzalloc(camsim_raw_size(model));
	camsim->tables = camsim_tables_alloc();
	camsim->trace = camsim_trace_alloc();
	if (!camsim->raw || !camsim->tables || !camsim->trace) {
		camsim_put(camsim);
		return NULL;
	}
	return camsim;
}

/* What the sensor needs is there before the bus, and what it connects to before both. */
static int camsim_init_parts(struct camsim *camsim, struct device_node *bus)
{
	int ret;

	ret = camsim_supplies_init(camsim);
	if (ret)
		return ret;
	ret = camsim_clock_init(camsim);
	if (ret)
		return ret;
	ret = camsim_lines_init(camsim);
	if (ret)
		return ret;
	ret = camsim_graph_init(camsim);
	if (ret)
		return ret;
	ret = camsim_scene_init(camsim);
	if (ret)
		goto err_graph;
	ret = camsim_graph_start(camsim);
	if (ret)
		goto err_scene;
	ret = camsim_i2c_init(camsim, bus);
	if (ret)
		goto err_scene;
	return 0;

err_scene:
	camsim_scene_cleanup(camsim);
err_graph:
	camsim_graph_cleanup(camsim);
	return ret;
}

static int camsim_probe(struct platform_device *pdev)
{
	const struct sensor_model *model;
	struct device *dev = &pdev->dev;
	struct device_node *bus;
	struct camsim *camsim;
	u16 address;
	int ret;

	bus = of_get_child_by_name(dev->of_node, "i2c");
	if (!bus)
		return dev_err_probe(dev, -EINVAL, "no i2c node: the sensor goes there\n");
	ret = devm_add_action_or_reset(dev, camsim_put_node_action, bus);
	if (ret)
		return ret;
	model = camsim_i2c_model(dev, bus, &address);
	if (IS_ERR(model))
		return PTR_ERR(model);

	camsim = camsim_alloc(dev, model);
	if (!camsim)
		return -ENOMEM;
	camsim->sensor_address = address;

	/* Supplies, clock and lines are devm's and call back until they are gone. */
	ret = devm_add_action_or_reset(dev, camsim_put_action, camsim);
	if (ret)
		return ret;
	platform_set_drvdata(pdev, camsim);

	ret = of_property_read_u32(dev->of_node, "volet,camera-id", &camsim->id);
	if (ret || camsim->id > 0xff)
		return dev_err_probe(dev, -EINVAL,
				     "volet,camera-id must be there, and below 256\n");

	ret = camsim_init_parts(camsim, bus);
	if (ret)
		return ret;

	camsim_debugfs_add(camsim);
	return 0;
}

static void camsim_remove(struct platform_device *pdev)
{
	struct camsim *camsim = platform_get_drvdata(pdev);

	camsim_debugfs_remove(camsim);
	i2c_del_adapter(&camsim->adapter);
	cancel_delayed_work_sync(&camsim->late_clock);
	camsim_scene_cleanup(camsim);
	camsim_graph_cleanup(camsim);
}

static int camsim_suspend(struct device *dev)
{
	camsim_csi_suspend(dev_get_drvdata(dev));
	return 0;
}

/* Whoever waits for frames that won't come is told. */
static int camsim_resume(struct device *dev)
{
	struct camsim *camsim = dev_get_drvdata(dev);
	int ret = camsim_csi_resume(camsim);

	if (ret)
		camsim_capture_fail(camsim);
	return ret;
}

static DEFINE_SIMPLE_DEV_PM_OPS(camsim_pm_ops, camsim_suspend, camsim_resume);

static const struct of_device_id camsim_of_match[] = {
	{ .compatible = "volet,camsim" },
	{ /* sentinel */ },
};
MODULE_DEVICE_TABLE(of, camsim_of_match);

static struct platform_driver camsim_driver = {
	.probe = camsim_probe,
	.remove_new = camsim_remove,
	.driver = {
		.name = "camsim",
		.of_match_table = camsim_of_match,
		.pm = pm_sleep_ptr(&camsim_pm_ops),
	},
};

static int __init camsim_init(void)
{
	int ret;

	ret = camsim_capture_set_allocator(allocator);
	if (ret) {
		pr_err("camsim: allocator=%s is neither vmalloc nor dma-contig\n", allocator);
		return ret;
	}

	ret = camsim_faults_init();
	if (ret)
		return ret;
	camsim_debugfs_init();
	ret = platform_driver_register(&camsim_driver);
	if (ret) {
		camsim_debugfs_exit();
		camsim_faults_exit();
	}
	return ret;
}
module_init(camsim_init);

static void __exit camsim_exit(void)
{
	platform_driver_unregister(&camsim_driver);
	/*
	 * An open file holds the module, but who else holds a video node's device doesn't, and
	 * it is released here (DEBUG_KOBJECT_RELEASE: seconds later).
	 */
	wait_event(camsim_freed, !atomic_read(&camsim_alive));
	camsim_debugfs_exit();
	camsim_faults_exit();
}
module_exit(camsim_exit);

MODULE_DESCRIPTION("Virtual camera board");
MODULE_LICENSE("GPL");
