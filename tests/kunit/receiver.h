/* SPDX-License-Identifier: MIT */
/*
 * For the KUnit tests, after probe.h: the sensor with a receiver that registers its node, so that
 * its state may outlive the binding; and streams, for a receiver that knows s_stream only.
 */
#ifndef VOLET_KUNIT_RECEIVER_H
#define VOLET_KUNIT_RECEIVER_H

#include <media/v4l2-device.h>

struct receiver {
	struct v4l2_device v4l2_dev;
	struct v4l2_async_notifier notifier;
};

static int receiver_complete(struct v4l2_async_notifier *notifier)
{
	return v4l2_device_register_subdev_nodes(notifier->v4l2_dev);
}

static const struct v4l2_async_notifier_operations receiver_ops = {
	.complete = receiver_complete,
};

static void receiver_close(void *data)
{
	struct receiver *receiver = data;

	v4l2_async_nf_unregister(&receiver->notifier);
	v4l2_async_nf_cleanup(&receiver->notifier);
	v4l2_device_unregister(&receiver->v4l2_dev);
}

/* A bus with a sensor that is bound, and its receiver */
static struct gc2053 *receiver_open(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct v4l2_async_connection *connection;
	struct receiver *receiver;
	struct v4l2_subdev *sd;

	bus_open(test, &bench->chip, 24000000);
	receiver = kunit_kzalloc(test, sizeof(*receiver), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, receiver);
	KUNIT_ASSERT_EQ(test, 0, v4l2_device_register(bench->gc2053.dev, &receiver->v4l2_dev));
	v4l2_async_nf_init(&receiver->notifier, &receiver->v4l2_dev);
	receiver->notifier.ops = &receiver_ops;
	connection = v4l2_async_nf_add_fwnode(&receiver->notifier,
					      software_node_fwnode(&probe_sensor),
					      struct v4l2_async_connection);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, connection);
	KUNIT_ASSERT_EQ(test, 0, v4l2_async_nf_register(&receiver->notifier));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, receiver_close, receiver));

	KUNIT_ASSERT_TRUE(test, bind());
	sd = i2c_get_clientdata(bus.client);
	KUNIT_ASSERT_NOT_NULL(test, sd->devnode);
	return to_gc2053(sd);
}

/*
 * The node is held, as by an open file, while the driver is unbound: the state stays, says
 * ENODEV, and goes when the next sensor is probed.
 */
static void an_open_node_outlives_remove(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct gc2053 *gc2053 = receiver_open(test);
	struct device *node = &gc2053->sd.devnode->dev;
	unsigned int num;

	(get_device)(node);
	device_release_driver(&bus.client->dev);
	KUNIT_EXPECT_EQ(test, 1, steps.states);
	KUNIT_EXPECT_EQ(test, 1, steps.handlers);
	num = bench->chip.num;
	KUNIT_EXPECT_EQ(test, -ENODEV, v4l2_ctrl_s_ctrl(gc2053->exposure, 500));
	KUNIT_EXPECT_EQ(test, -ENODEV, gc2053_enable_streams(&gc2053->sd, NULL, 0, 1));
	KUNIT_EXPECT_EQ(test, num, bench->chip.num);
	KUNIT_EXPECT_EQ(test, 0, steps.supplies);

	/* The framework still writes to it after release(). */
	(put_device)(node);
	KUNIT_EXPECT_EQ(test, 1, steps.states);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&gc2053_orphans));
	KUNIT_EXPECT_EQ(test, 0, steps.handlers);

	KUNIT_ASSERT_TRUE(test, bind());
	KUNIT_EXPECT_EQ(test, 1, steps.states);
	KUNIT_EXPECT_TRUE(test, list_empty(&gc2053_orphans));
	device_release_driver(&bus.client->dev);
	check_nothing_is_kept(test);
}

static void an_orphan_waits_for_the_framework(struct kunit *test)
{
	struct video_device *node = kunit_kzalloc(test, sizeof(*node), GFP_KERNEL);
	struct gc2053 *orphan;

	memset(&steps, 0, sizeof(steps));
	orphan = kzalloc(sizeof(*orphan), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, orphan);
	KUNIT_ASSERT_NOT_NULL(test, node);
	orphan->sd.devnode = node;
	list_add(&orphan->orphan, &gc2053_orphans);
	gc2053_free_orphans();
	KUNIT_EXPECT_EQ(test, 1, steps.states);
	if (steps.states != 1)
		return;
	orphan->sd.devnode = NULL;
	gc2053_free_orphans();
	KUNIT_EXPECT_EQ(test, 0, steps.states);
	KUNIT_EXPECT_TRUE(test, list_empty(&gc2053_orphans));
}

/* A receiver may fail after it gave out the node: whoever has it is told that nothing is there. */
static struct gc2053 *refused;

static void hold(struct v4l2_subdev *sd)
{
	refused = to_gc2053(sd);
	kref_get(&refused->kref);
}

static void a_refused_sensor_is_disconnected(struct kunit *test)
{
	struct bench *bench = test->priv;
	unsigned int num;

	bus_open(test, &bench->chip, 24000000);
	KUNIT_ASSERT_TRUE(test, bind());
	device_release_driver(&bus.client->dev);

	/* Registration is the last of the steps. */
	steps.fail_at = steps.num;
	steps.on_refusal = hold;
	refused = NULL;
	KUNIT_EXPECT_FALSE(test, bind());
	KUNIT_ASSERT_NOT_NULL(test, refused);
	num = bench->chip.num;
	KUNIT_EXPECT_EQ(test, -ENODEV, v4l2_ctrl_s_ctrl(refused->exposure, 500));
	KUNIT_EXPECT_EQ(test, num, bench->chip.num);
	gc2053_put(refused);
	check_nothing_is_kept(test);
}

static void s_stream_streams(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct gc2053 *gc2053 = receiver_open(test);
	struct device *dev = &bus.client->dev;
	int usage = atomic_read(&dev->power.usage_count);

	KUNIT_EXPECT_EQ(test, 0, v4l2_subdev_call(&gc2053->sd, video, s_stream, 1));
	KUNIT_EXPECT_EQ(test, 0x91, bench->chip.regs[0][0x3e]);
	KUNIT_EXPECT_EQ(test, usage + 1, atomic_read(&dev->power.usage_count));
	KUNIT_EXPECT_EQ(test, 0, v4l2_subdev_call(&gc2053->sd, video, s_stream, 0));
	KUNIT_EXPECT_EQ(test, 0x11, bench->chip.regs[0][0x3e]);
	KUNIT_EXPECT_EQ(test, usage, atomic_read(&dev->power.usage_count));
	device_release_driver(dev);
	check_nothing_is_kept(test);
}

#endif
