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
	struct gc2053_model *m = &camsim->model;
	unsigned int i;

	if (msg->addr != camsim->sensor_address)
		return -ENXIO;
	if (camsim_nack_armed(camsim)) {
		camsim_trace_event(camsim, "nack (fault)");
		return -ENXIO;
	}
	if (!gc2053_answers(m, ktime_get_ns())) {
		camsim_trace_event(camsim, "nack");
		return -ENXIO;
	}

	m->id = camsim->faults.wrong_id ? 0x2093 : 0x2053;
	for (i = 0; i < msg->len; i++) {
		u8 reg = m->pointer, page = m->page;

		if (msg->flags & I2C_M_RD) {
			msg->buf[i] = gc2053_read(m);
			camsim_trace_i2c(camsim, "read", page, reg, msg->buf[i]);
		} else if (i == 0) {
			gc2053_address(m, msg->buf[0]);
		} else {
			gc2053_write(m, msg->buf[i]);
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
	was = gc2053_streaming(&camsim->model);
	for (i = 0; i < num && !ret; i++)
		ret = camsim_i2c_message(camsim, &msgs[i]);
	is = gc2053_streaming(&camsim->model);
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

int camsim_i2c_init(struct camsim *camsim, struct device_node *bus)
{
	struct i2c_adapter *adapter = &camsim->adapter;
	struct device_node *sensor;
	u32 address;
	int ret;

	sensor = of_get_compatible_child(bus, "galaxycore,gc2053");
	if (!sensor)
		return dev_err_probe(camsim->dev, -EINVAL,
				     "no sensor on the bus that the board has a model of\n");
	ret = of_property_read_u32(sensor, "reg", &address);
	of_node_put(sensor);
	if (ret)
		return dev_err_probe(camsim->dev, ret, "the sensor's node has no reg\n");
	camsim->sensor_address = address;

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
