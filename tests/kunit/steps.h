/* SPDX-License-Identifier: MIT */
/*
 * For the KUnit tests, before the driver's own file: what probe asks the kernel for goes through
 * here, is counted, and can be made to fail, one step at a time. What was got has to be given
 * back as often. The kernel's own functions still do the work.
 */
#ifndef VOLET_KUNIT_STEPS_H
#define VOLET_KUNIT_STEPS_H

#include <linux/clk.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/gpio/consumer.h>
#include <linux/regulator/consumer.h>
#include <linux/slab.h>
#include <media/v4l2-async.h>
#include <media/v4l2-cci.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-fwnode.h>
#include <media/v4l2-subdev.h>

/* What a step that is made to fail returns; no step fails like that by itself. */
#define STEP_ERROR	(-EXFULL)

static struct {
	unsigned int num;	/* steps until now */
	unsigned int fail_at;	/* 0 for none */
	const char *failed;
	void (*on_refusal)(struct v4l2_subdev *sd);	/* where registration fails */
	unsigned int slept_us;	/* at least */
	/* Got and not given back */
	int states, devices, supplies, clocks, endpoints, handlers, subdevs;
} steps;

static bool step_fails(const char *name)
{
	if (++steps.num != steps.fail_at)
		return false;
	steps.failed = name;
	return true;
}

#define STEP(call, failure)	(step_fails(#call) ? (failure) : (call))

/* A step that returns 0 or an error, and what counts it when it worked */
#define COUNTED(call, count)	({			\
	int __ret = STEP(call, STEP_ERROR);		\
							\
	steps.count += !__ret;				\
	__ret;						\
})

#define UNCOUNTED(call, count)	({			\
	steps.count--;					\
	call;						\
})

#undef kzalloc
#define kzalloc(size, flags)	({						\
	void *__new = STEP(kzalloc_noprof(size, flags), NULL);			\
										\
	steps.states += !!__new;						\
	__new;									\
})
#define kfree(state)			UNCOUNTED(kfree(state), states)

#define get_device(dev)			({ steps.devices++; get_device(dev); })
#define put_device(dev)			UNCOUNTED(put_device(dev), devices)

#undef devm_add_action_or_reset
#define devm_add_action_or_reset(dev, action, data)				\
	(step_fails("devm_add_action") ? (action(data), STEP_ERROR) :		\
	 __devm_add_action_or_reset(dev, action, data, #action))

#define v4l2_fwnode_endpoint_alloc_parse(node, ep)				\
	COUNTED(v4l2_fwnode_endpoint_alloc_parse(node, ep), endpoints)
#define v4l2_fwnode_endpoint_free(ep)						\
	UNCOUNTED(v4l2_fwnode_endpoint_free(ep), endpoints)

#define devm_clk_get(dev, id)							\
	STEP(devm_clk_get(dev, id), ERR_PTR(STEP_ERROR))
#define devm_regulator_bulk_get(dev, num, supplies)				\
	STEP(devm_regulator_bulk_get(dev, num, supplies), STEP_ERROR)
#define devm_gpiod_get_optional(dev, id, flags)					\
	STEP(devm_gpiod_get_optional(dev, id, flags), ERR_PTR(STEP_ERROR))
#define devm_cci_regmap_init_i2c(client, bits)					\
	STEP(devm_cci_regmap_init_i2c(client, bits), ERR_PTR(STEP_ERROR))

#define regulator_enable(regulator)	COUNTED(regulator_enable(regulator), supplies)
#define regulator_disable(regulator)	UNCOUNTED(regulator_disable(regulator), supplies)
#define clk_prepare_enable(clk)		COUNTED(clk_prepare_enable(clk), clocks)
#define clk_disable_unprepare(clk)	UNCOUNTED(clk_disable_unprepare(clk), clocks)

#define v4l2_fwnode_device_parse(dev, props)					\
	STEP(v4l2_fwnode_device_parse(dev, props), STEP_ERROR)
/* An error of the handler is kept in it. */
#define v4l2_ctrl_handler_init_class(handler, num, key, name)	({		\
	v4l2_ctrl_handler_init_class(handler, num, key, name);			\
	steps.handlers++;							\
	if (step_fails("v4l2_ctrl_handler_init"))				\
		(handler)->error = STEP_ERROR;					\
})
/* The driver frees a handler that was never made, too: those don't count. */
#define v4l2_ctrl_handler_free(handler)	({					\
	steps.handlers -= !!(handler)->buckets;					\
	v4l2_ctrl_handler_free(handler);					\
})
#define media_entity_pads_init(entity, num, pads)				\
	STEP(media_entity_pads_init(entity, num, pads), STEP_ERROR)
#define __v4l2_subdev_init_finalize(sd, name, key)				\
	COUNTED(__v4l2_subdev_init_finalize(sd, name, key), subdevs)
#define v4l2_subdev_cleanup(sd)		({					\
	steps.subdevs -= !!(sd)->active_state;					\
	v4l2_subdev_cleanup(sd);						\
})
#define __v4l2_async_register_subdev_sensor(sd, module)	({			\
	bool __refused = step_fails("v4l2_async_register_subdev_sensor");	\
										\
	if (__refused && steps.on_refusal)					\
		steps.on_refusal(sd);						\
	__refused ? STEP_ERROR : __v4l2_async_register_subdev_sensor(sd, module);	\
})

#define fsleep(us)	({					\
	steps.slept_us += (us);					\
	fsleep(us);						\
})

#endif
