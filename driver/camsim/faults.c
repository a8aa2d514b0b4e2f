// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that vivid has controls for, under the names that they have there, as controls of the
 * receiver. They are only there if the module is told so, since programs that try all controls,
 * as v4l2-compliance does, would press the buttons. All other faults are in debugfs.c.
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/workqueue.h>

#include "camsim.h"
#include "priv.h"

static bool faults;
module_param(faults, bool, 0444);
MODULE_PARM_DESC(faults, "the receivers have controls that make them fail (default: no)");

static struct workqueue_struct *camsim_workqueue;

/* A fault that happens once: whether it is due, and from now on it isn't. */
bool camsim_fault_take(struct camsim *camsim, bool *fault)
{
	unsigned long flags;
	bool due;

	spin_lock_irqsave(&camsim->lock, flags);
	due = *fault;
	*fault = false;
	spin_unlock_irqrestore(&camsim->lock, flags);
	return due;
}

/* Of each hundred frames so many are dropped, as evenly as it goes. */
bool camsim_fault_drops(struct camsim *camsim)
{
	camsim->faults.dropped += READ_ONCE(camsim->faults.drop_percent);
	if (camsim->faults.dropped < 100)
		return false;
	camsim->faults.dropped -= 100;
	return true;
}

/* The camera is pulled out: the driver lets go of it, as it would of a bus that is gone. */
static void camsim_disconnect_work(struct work_struct *work)
{
	struct camsim *camsim = container_of(work, struct camsim, disconnect);
	struct device *dev = camsim->dev;

	if (dev_get_drvdata(dev) == camsim)
		device_release_driver(dev);
	put_device(dev);
	camsim_put(camsim);
}

/* Not from here: what is let go of has the lock that a control's setting is under. */
static void camsim_disconnect(struct camsim *camsim)
{
	camsim_get(camsim);
	get_device(camsim->dev);
	if (!queue_work(camsim_workqueue, &camsim->disconnect)) {
		put_device(camsim->dev);
		camsim_put(camsim);
	}
}

static int camsim_fault_s_ctrl(struct v4l2_ctrl *ctrl)
{
	struct camsim *camsim = container_of(ctrl->handler, struct camsim, csi_ctrls);

	switch (ctrl->id) {
	case CAMSIM_CID_DISCONNECT:
		camsim_disconnect(camsim);
		break;
	case CAMSIM_CID_BUF_ERROR:
		WRITE_ONCE(camsim->faults.buf_error, true);
		break;
	case CAMSIM_CID_DROP_PERCENT:
		WRITE_ONCE(camsim->faults.drop_percent, ctrl->val);
		break;
	case CAMSIM_CID_REQBUFS_ERROR:
		WRITE_ONCE(camsim->faults.reqbufs_error, true);
		break;
	case CAMSIM_CID_QBUF_ERROR:
		WRITE_ONCE(camsim->faults.qbuf_error, true);
		break;
	case CAMSIM_CID_STREAMON_ERROR:
		WRITE_ONCE(camsim->faults.streamon_error, true);
		break;
	case CAMSIM_CID_FATAL_ERROR:
		camsim_capture_fail(camsim);
		break;
	}
	return 0;
}

static const struct v4l2_ctrl_ops camsim_fault_ctrl_ops = {
	.s_ctrl = camsim_fault_s_ctrl,
};

static const struct {
	u32 id;
	const char *name;
	bool percent;		/* else a button */
} camsim_fault_ctrls[] = {
	{ CAMSIM_CID_DISCONNECT, "Disconnect" },
	{ CAMSIM_CID_BUF_ERROR, "Inject V4L2_BUF_FLAG_ERROR" },
	{ CAMSIM_CID_DROP_PERCENT, "Percentage of Dropped Buffers", true },
	{ CAMSIM_CID_REQBUFS_ERROR, "Inject VIDIOC_REQBUFS Error" },
	{ CAMSIM_CID_QBUF_ERROR, "Inject VIDIOC_QBUF Error" },
	{ CAMSIM_CID_STREAMON_ERROR, "Inject VIDIOC_STREAMON Error" },
	{ CAMSIM_CID_FATAL_ERROR, "Inject Fatal Streaming Error" },
};

/* Adds to the receiver's controls, whose handler has the error if there is one. */
void camsim_faults_add_ctrls(struct camsim *camsim)
{
	unsigned int i;

	INIT_WORK(&camsim->disconnect, camsim_disconnect_work);
	for (i = 0; faults && i < ARRAY_SIZE(camsim_fault_ctrls); i++) {
		struct v4l2_ctrl_config config = {
			.ops = &camsim_fault_ctrl_ops,
			.id = camsim_fault_ctrls[i].id,
			.name = camsim_fault_ctrls[i].name,
			.type = V4L2_CTRL_TYPE_BUTTON,
		};

		if (camsim_fault_ctrls[i].percent) {
			config.type = V4L2_CTRL_TYPE_INTEGER;
			config.max = 100;
			config.step = 1;
		}
		v4l2_ctrl_new_custom(&camsim->csi_ctrls, &config, NULL);
	}
}

/* -----------------------------------------------------------------------------
 * A clock that comes late
 */

static void camsim_late_clock_work(struct work_struct *work)
{
	struct camsim *camsim = container_of(to_delayed_work(work), struct camsim, late_clock);

	if (READ_ONCE(camsim->clock_on))
		camsim_set_pin(camsim, SENSOR_XCLK, true);
}

/* May be called in atomic context, as clocks are. */
void camsim_clock_set(struct camsim *camsim, bool on)
{
	u32 late_ms = READ_ONCE(camsim->faults.late_clock_ms);

	WRITE_ONCE(camsim->clock_on, on);
	if (on && late_ms) {
		queue_delayed_work(camsim_workqueue, &camsim->late_clock,
				   msecs_to_jiffies(late_ms));
		return;
	}
	cancel_delayed_work(&camsim->late_clock);
	camsim_set_pin(camsim, SENSOR_XCLK, on);
}

void camsim_clock_init_late(struct camsim *camsim)
{
	INIT_DELAYED_WORK(&camsim->late_clock, camsim_late_clock_work);
}

int camsim_faults_init(void)
{
	camsim_workqueue = alloc_workqueue("camsim", WQ_UNBOUND, 0);
	return camsim_workqueue ? 0 : -ENOMEM;
}

void camsim_faults_exit(void)
{
	destroy_workqueue(camsim_workqueue);
}
