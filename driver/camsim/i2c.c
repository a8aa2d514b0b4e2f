// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's I2C bus: raw transfers to and from the sensor model, which answers at the address
 * that the device tree gives its node, and only when it is powered.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/of.h>

#include "priv.h"

/* A fault that is armed for the n-th message counts down to it. */
static bool camsim_nack_armed(struct camsim *camsim)
{
	return camsim->faults.nack && !--camsim->faults.nack;
}

static int camsim_i2c_message(struct camsim *camsim, struct i2c_msg *msg)
{
	struct sensor *chip = &camsim->chip;
	unsigned int i, address = chip->model->wide ? 2 : 1;

	if (msg->addr != camsim->sensor_address)
		return -ENXIO;
	if (camsim_nack_armed(camsim)) {
		camsim_trace_event(camsim, "nack (fault)");
		return -ENXIO;
	}
	if (!sensor_answers(chip, ktime_get_ns())) {
		camsim_trace_event(camsim, "nack");
		return -ENXIO;
	}

	chip->id = camsim->faults.wrong_id ? chip->model->other_id : chip->model->id;
	for (i = 0; i < msg->len; i++) {
		u16 reg = chip->pointer;
		u8 page = chip->page;

		if (msg->flags & I2C_M_RD) {
			msg->buf[i] = sensor_read(chip);
			camsim_trace_i2c(camsim, "read", page, reg, msg->buf[i]);
		} else if (i < address) {
			sensor_address(chip, i ? reg << 8 | msg->buf[i] : msg->buf[i]);
		} else {
			sensor_write(chip, msg->buf[i]);
			camsim_trace_i2c(camsim, "write", page, reg, msg->buf[i]);
		}
	}
	return 0;
}

static int camsim_i2c_xfer(struct i2c_adapter *adapter, struct i2c_msg *msgs, int num)
{
	struct camsim *camsim = i2c_get_adapdata(adapter);
	unsigned long flags;
	bool was, is;
	u32 slow_ms = READ_ONCE(camsim->faults.slow_ms);
	int i, ret = 0;

	/* Before the transfer: what it finds is the sensor as it is by then. */
	if (slow_ms)
		msleep(slow_ms);

	spin_lock_irqsave(&camsim->lock, flags);
	was = sensor_streaming(&camsim->chip);
	for (i = 0; i < num && !ret; i++)
		ret = camsim_i2c_message(camsim, &msgs[i]);
	is = sensor_streaming(&camsim->chip);
	if (was != is)
		camsim_trace_event(camsim, is ? "stream on" : "stream off");
	spin_unlock_irqrestore(&camsim->lock, flags);

	if (was != is)
		wake_up_all(&camsim->wait);
	camsim_report_errors(camsim);
	return ret ? ret : num;
}

static u32 camsim_i2c_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm camsim_i2c_algorithm = {
	.xfer = camsim_i2c_xfer,
	.functionality = camsim_i2c_functionality,
};

static const struct sensor_model * const camsim_models[] = { &gc2053_model, &imx219_model };

/* The model and the address of the sensor in the bus's node */
const struct sensor_model *camsim_i2c_model(struct device *dev, struct device_node *bus,
					    u16 *address)
{
	struct device_node *sensor = NULL;
	unsigned int i;
	u32 reg;
	int ret;

	for (i = 0; i < ARRAY_SIZE(camsim_models); i++) {
		sensor = of_get_compatible_child(bus, camsim_models[i]->compatible);
		if (sensor)
			break;
	}
	if (!sensor)
		return dev_err_ptr_probe(dev, -EINVAL,
					 "no sensor on the bus that the board has a model of\n");
	ret = of_property_read_u32(sensor, "reg", &reg);
	of_node_put(sensor);
	if (ret)
		return dev_err_ptr_probe(dev, ret, "the sensor's node has no reg\n");
	*address = reg;
	return camsim_models[i];
}

int camsim_i2c_init(struct camsim *camsim, struct device_node *bus)
{
	struct i2c_adapter *adapter = &camsim->adapter;
	int ret;

	adapter->owner = THIS_MODULE;
	adapter->algo = &camsim_i2c_algorithm;
	adapter->dev.parent = camsim->dev;
	adapter->dev.of_node = bus;
	snprintf(adapter->name, sizeof(adapter->name), "camsim-%u", camsim->id);
	i2c_set_adapdata(adapter, camsim);

	/* The sensor's entity is named after the bus: that of the first camera is always 0. */
	adapter->nr = camsim->id;
	ret = i2c_add_numbered_adapter(adapter);
	if (ret)
		dev_err(camsim->dev, "i2c bus %u: %d; another has this number, which is the camera's\n",
			camsim->id, ret);
	return ret;
}
