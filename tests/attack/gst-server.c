// SPDX-License-Identifier: MIT
/*
 * gst-rtsp-server as it comes, in front of a test camera: what a viewer sees who asks for the
 * description now and plays later. Says its port, on 127.0.0.1, and serves until it is killed.
 */
#include <gst/app/app.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <stdio.h>

#include "capture.h"
#include "encoder.h"
#include "testcam.h"

#define WIDTH	640
#define HEIGHT	480
#define RATE	10

static struct testcam camera;
static struct encoder *encoder;
static GstElement *source;

static gboolean push(gpointer data G_GNUC_UNUSED)
{
	g_autoptr(GError) error = NULL;
	const guint8 *jpeg;
	gsize size;

	testcam_draw(&camera, capture_now());
	if (!encoder_nv12(encoder, camera.y, camera.uv, WIDTH, &jpeg, &size, &error))
		g_error("%s", error->message);
	gst_app_src_push_buffer(GST_APP_SRC(source), gst_buffer_new_memdup(jpeg, size));
	return G_SOURCE_CONTINUE;
}

static void configure(GstRTSPMediaFactory *factory G_GNUC_UNUSED, GstRTSPMedia *media,
		      gpointer data G_GNUC_UNUSED)
{
	g_autoptr(GstElement) element = gst_rtsp_media_get_element(media);

	source = gst_bin_get_by_name(GST_BIN(element), "source");
	g_timeout_add(1000 / RATE, push, NULL);
}

int main(int argc, char **argv)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	g_autoptr(GError) error = NULL;
	GstRTSPMediaFactory *factory;
	GstRTSPMountPoints *mounts;
	GstRTSPServer *server;

	gst_init(&argc, &argv);
	testcam_init(&camera, "cam1", WIDTH, HEIGHT, RATE);
	encoder = encoder_new(WIDTH, HEIGHT, 75, &error);
	if (!encoder)
		g_error("%s", error->message);
	server = gst_rtsp_server_new();
	gst_rtsp_server_set_address(server, "127.0.0.1");
	gst_rtsp_server_set_service(server, "0");
	factory = gst_rtsp_media_factory_new();
	gst_rtsp_media_factory_set_launch(factory,
		"( appsrc name=source is-live=true do-timestamp=true format=time "
		"caps=image/jpeg,width=640,height=480,framerate=0/1 ! rtpjpegpay name=pay0 )");
	g_signal_connect(factory, "media-configure", G_CALLBACK(configure), NULL);
	mounts = gst_rtsp_server_get_mount_points(server);
	gst_rtsp_mount_points_add_factory(mounts, "/cam1", factory);
	if (!gst_rtsp_server_attach(server, NULL))
		g_error("can't listen");
	printf("%d\n", gst_rtsp_server_get_bound_port(server));
	fflush(stdout);
	g_main_loop_run(loop);
	return 0;
}
