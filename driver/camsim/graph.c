// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's media graph: sensor -> receiver -> memory, and receiver -> ISP -> memory. The
 * capture nodes are there while a sensor is; a sensor may be unbound and bound again.
 */
#include <media/v4l2-fwnode.h>
#include <media/v4l2-mc.h>

#include "priv.h"

static struct camsim *notifier_to_camsim(struct v4l2_async_notifier *notifier)
{
	return container_of(notifier, struct camsim, notifier);
}

static int camsim_bound(struct v4l2_async_notifier *notifier, struct v4l2_subdev *sensor,
			struct v4l2_async_connection *asc)
{
	struct camsim *camsim = notifier_to_camsim(notifier);
	struct media_pad *sink = &camsim->csi_pads[CAMSIM_CSI_SINK];
	struct media_pad *source;
	int ret;

	if (READ_ONCE(camsim->faults.refuse))
		return -EIO;

	ret = v4l2_create_fwnode_links_to_pad(sensor, sink,
					      MEDIA_LNK_FL_ENABLED | MEDIA_LNK_FL_IMMUTABLE);
	if (ret)
		return ret;
	source = media_pad_remote_pad_unique(sink);
	if (IS_ERR(source))
		return dev_err_probe(camsim->dev, PTR_ERR(source), "%s is not connected\n",
				     sensor->name);

	camsim->sensor = sensor;
	camsim->sensor_pad = source;
	return 0;
}

/*
 * Where memory for a video node's entity or interface ran out, the framework of 6.12 registers the
 * node all the same and says nothing, and later takes down what isn't there. It is kept from that
 * where a driver does both by itself, as those of memory-to-memory devices do.
 */
int camsim_check_entity(struct video_device *vdev)
{
	if (vdev->entity.graph_obj.mdev && vdev->intf_devnode)
		return 0;
	vdev->entity.graph_obj.mdev = NULL;
	vdev->vfl_dir = VFL_DIR_M2M;
	return -ENOMEM;
}

static void camsim_unbind(struct v4l2_async_notifier *notifier, struct v4l2_subdev *sensor,
			  struct v4l2_async_connection *asc)
{
	struct camsim *camsim = notifier_to_camsim(notifier);

	camsim_capture_unregister(camsim);
	camsim->sensor = NULL;
	camsim->sensor_pad = NULL;
}

static int camsim_complete(struct v4l2_async_notifier *notifier)
{
	struct camsim *camsim = notifier_to_camsim(notifier);
	unsigned int i;
	int ret;

	for (i = 0; i < CAMSIM_NUM_NODES; i++) {
		ret = camsim_capture_register(camsim, i);
		if (ret)
			goto err_nodes;
	}

	ret = v4l2_device_register_subdev_nodes(&camsim->v4l2_dev);
	if (ret)
		goto err_nodes;

	/* Last, and once: who sees the media device sees all of it. */
	if (!camsim->graph_registered) {
		ret = media_device_register(&camsim->mdev);
		if (ret)
			goto err_nodes;
		camsim->graph_registered = true;
	}
	return 0;

err_nodes:
	camsim_capture_unregister(camsim);
	return ret;
}

static const struct v4l2_async_notifier_operations camsim_notifier_ops = {
	.bound = camsim_bound,
	.unbind = camsim_unbind,
	.complete = camsim_complete,
};

int camsim_graph_start(struct camsim *camsim)
{
	struct v4l2_async_connection *asc;
	struct fwnode_handle *endpoint;
	int ret;

	v4l2_async_nf_init(&camsim->notifier, &camsim->v4l2_dev);
	camsim->notifier.ops = &camsim_notifier_ops;

	endpoint = fwnode_graph_get_endpoint_by_id(dev_fwnode(camsim->dev), 0, 0, 0);
	if (!endpoint)
		return dev_err_probe(camsim->dev, -EINVAL,
				     "no port with an endpoint: the sensor connects there\n");
	asc = v4l2_async_nf_add_fwnode_remote(&camsim->notifier, endpoint,
					      struct v4l2_async_connection);
	fwnode_handle_put(endpoint);
	if (IS_ERR(asc)) {
		ret = dev_err_probe(camsim->dev, PTR_ERR(asc), "remote endpoint\n");
		goto err_cleanup;
	}

	ret = v4l2_async_nf_register(&camsim->notifier);
	if (ret)
		goto err_cleanup;
	return 0;

err_cleanup:
	v4l2_async_nf_cleanup(&camsim->notifier);
	return ret;
}

/*
 * The last node of the graph is gone, that of the sensor too, and nothing touches the
 * v4l2_device any more. A sub-device's release() comes too early for that: the framework
 * writes to the sub-device after it, and then uses the v4l2_device.
 */
static void camsim_v4l2_release(struct v4l2_device *v4l2_dev)
{
	camsim_put(container_of(v4l2_dev, struct camsim, v4l2_dev));
}

int camsim_graph_init(struct camsim *camsim)
{
	const u32 flags = MEDIA_LNK_FL_ENABLED | MEDIA_LNK_FL_IMMUTABLE;
	int ret;

	camsim->mdev.dev = camsim->dev;
	strscpy(camsim->mdev.model, "Virtual camera board", sizeof(camsim->mdev.model));
	media_device_init(&camsim->mdev);

	camsim->v4l2_dev.mdev = &camsim->mdev;
	ret = v4l2_device_register(camsim->dev, &camsim->v4l2_dev);
	if (ret)
		return ret;
	camsim_get(camsim);
	camsim->v4l2_dev.release = camsim_v4l2_release;
	ret = camsim_csi_init(camsim);
	if (ret)
		goto err_v4l2;
	ret = camsim_isp_init(camsim);
	if (ret)
		goto err_csi;
	ret = media_create_pad_link(&camsim->csi.entity, CAMSIM_CSI_ISP, &camsim->isp.entity,
				    CAMSIM_ISP_SINK, flags);
	if (ret)
		goto err_isp;
	return 0;

err_isp:
	camsim_isp_cleanup(camsim);
err_csi:
	camsim_csi_cleanup(camsim);
err_v4l2:
	v4l2_device_unregister(&camsim->v4l2_dev);
	v4l2_device_put(&camsim->v4l2_dev);
	return ret;
}

void camsim_graph_cleanup(struct camsim *camsim)
{
	v4l2_async_nf_unregister(&camsim->notifier);
	v4l2_async_nf_cleanup(&camsim->notifier);
	camsim_capture_unregister(camsim);
	camsim_isp_cleanup(camsim);
	camsim_csi_cleanup(camsim);
	v4l2_device_unregister(&camsim->v4l2_dev);
	/* What video nodes with open files still hold of it is cleaned up with the camera. */
	if (camsim->graph_registered)
		media_device_unregister(&camsim->mdev);
	v4l2_device_put(&camsim->v4l2_dev);
}
