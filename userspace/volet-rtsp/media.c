// SPDX-License-Identifier: MIT
/* The one pipeline of a connection, and the GStreamer it is made of; see media.h. */
#include "media.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>

/* Where Debian's and every other packager's pkg-config says GStreamer's plugins are. */
#define PLUGIN(name) VOLET_GST_PLUGINS "/libgst" name ".so"

static const char *const plugins[] = {
	PLUGIN("coreelements"), PLUGIN("app"), PLUGIN("rtp"), PLUGIN("rtpmanager"),
};

/* Every element that a session makes: made once here, their types and tables are there. */
static const char *const elements[] = {
	"appsrc", "appsink", "rtpjpegpay", "rtph264pay", "rtpbin", "rtpsession", "rtpssrcdemux",
	"rtpptdemux", "rtpjitterbuffer", "rtpstorage", "tee", "queue", "funnel", "identity",
	"capsfilter", "fakesink",
};

/*
 * An error's text would have iconv look for its tables when the first error comes. In
 * UTF-8 there is nothing to convert, and each text is made now.
 */
static void load_texts(void)
{
	/* g_strerror() is declared to have no effect: what it returns must be used. */
	const char *volatile text;
	int i;

	setlocale(LC_CTYPE, "C.UTF-8");
	for (i = 0; i <= EHWPOISON; i++)
		text = g_strerror(i);
	(void)text;
}

bool media_init(char why[SESSION_WHY_MAX])
{
	g_autoptr(GError) error = NULL;
	size_t i;

	load_texts();
	g_setenv("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
	g_setenv("GST_PLUGIN_PATH_1_0", "", TRUE);
	g_setenv("GST_REGISTRY_DISABLE", "yes", TRUE);
	gst_registry_fork_set_enabled(FALSE);
	if (!gst_init_check(NULL, NULL, &error)) {
		snprintf(why, SESSION_WHY_MAX, "GStreamer doesn't start: %s", error->message);
		return false;
	}
	for (i = 0; i < G_N_ELEMENTS(plugins); i++) {
		g_autoptr(GstPlugin) plugin = gst_plugin_load_file(plugins[i], &error);

		if (!plugin) {
			snprintf(why, SESSION_WHY_MAX, "%s can't be loaded (%s): install"
				 " gstreamer1.0-plugins-base and -good", plugins[i],
				 error->message);
			return false;
		}
	}
	for (i = 0; i < G_N_ELEMENTS(elements); i++) {
		GstElement *element = gst_element_factory_make(elements[i], NULL);

		if (!element) {
			snprintf(why, SESSION_WHY_MAX, "GStreamer has no element %s", elements[i]);
			return false;
		}
		gst_object_ref_sink(element);
		gst_object_unref(element);
	}
	return true;
}

/* ---- factory ------------------------------------------------------------------------ */

#define VOLET_TYPE_FACTORY volet_factory_get_type()
G_DECLARE_FINAL_TYPE(VoletFactory, volet_factory, VOLET, FACTORY, GstRTSPMediaFactory)

struct _VoletFactory {
	GstRTSPMediaFactory parent;
	struct feeder *feeder;
};

G_DEFINE_FINAL_TYPE(VoletFactory, volet_factory, GST_TYPE_RTSP_MEDIA_FACTORY)

/*
 * The payloader (1.26) doesn't say the profile and level, and without them SDP would mean
 * Baseline at level 1 (RFC 6184, 8.1). They are the three bytes after the SPS's first.
 */
static GstPadProbeReturn add_level(GstPad *pad G_GNUC_UNUSED, GstPadProbeInfo *info, gpointer data)
{
	const struct volet_frame_memory *layout = data;
	GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info), *more;
	g_autoptr(GstCaps) caps = NULL;
	GstCaps *own;
	const uint8_t *sps = layout->parameters + 5;
	char level[7];

	if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS || layout->n_parameters < 8)
		return GST_PAD_PROBE_OK;
	gst_event_parse_caps(event, &own);
	caps = gst_caps_copy(own);
	g_snprintf(level, sizeof(level), "%02x%02x%02x", sps[0], sps[1], sps[2]);
	gst_caps_set_simple(caps, "profile-level-id", G_TYPE_STRING, level, NULL);
	more = gst_event_new_caps(caps);
	gst_event_set_seqnum(more, gst_event_get_seqnum(event));
	gst_event_unref(event);
	GST_PAD_PROBE_INFO_DATA(info) = more;
	return GST_PAD_PROBE_OK;
}

/*
 * In a stream a packet may be as large as RTSP can frame; 8 kB halves the work for a frame
 * against 1.4 kB, more gains little.
 */
static GstElement *make_payloader(const struct volet_frame_memory *layout)
{
	GstElement *pay;
	GstPad *pad;

	if (layout->codec == VOLET_CODEC_JPEG) {
		pay = gst_element_factory_make("rtpjpegpay", "pay0");
		/* Payload type 26 is JPEG's own. */
		g_object_set(pay, "pt", 26, "mtu", 8192, NULL);
		return pay;
	}
	pay = gst_element_factory_make("rtph264pay", "pay0");
	/* The parameter sets are in each key frame; -1 sends them along. Packetization mode 1. */
	g_object_set(pay, "pt", 96, "mtu", 8192, "config-interval", -1, NULL);
	pad = gst_element_get_static_pad(pay, "src");
	gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, add_level, (gpointer)layout, NULL);
	gst_object_unref(pad);
	return pay;
}

static GstElement *create_element(GstRTSPMediaFactory *base, const GstRTSPUrl *url G_GNUC_UNUSED)
{
	VoletFactory *factory = VOLET_FACTORY(base);
	GstElement *bin = gst_bin_new(NULL);
	GstElement *source = feeder_make_source(factory->feeder);
	GstElement *pay = make_payloader(feeder_layout(factory->feeder));

	gst_bin_add_many(GST_BIN(bin), source, pay, NULL);
	gst_element_link(source, pay);
	return bin;
}

static void volet_factory_class_init(VoletFactoryClass *class)
{
	GST_RTSP_MEDIA_FACTORY_CLASS(class)->create_element = create_element;
}

static void volet_factory_init(VoletFactory *factory)
{
	GstRTSPMediaFactory *base = GST_RTSP_MEDIA_FACTORY(factory);

	gst_rtsp_media_factory_set_shared(base, FALSE);
	gst_rtsp_media_factory_set_transport_mode(base, GST_RTSP_TRANSPORT_MODE_PLAY);
	gst_rtsp_media_factory_set_protocols(base, GST_RTSP_LOWER_TRANS_TCP);
	gst_rtsp_media_factory_set_profiles(base, GST_RTSP_PROFILE_AVP);
	/* Anything milder keeps a buffer from before PLAY, and sends it first. */
	gst_rtsp_media_factory_set_suspend_mode(base, GST_RTSP_SUSPEND_MODE_RESET);
	gst_rtsp_media_factory_set_latency(base, 0);
}

GstRTSPMediaFactory *media_factory_new(struct feeder *feeder)
{
	VoletFactory *factory = g_object_new(VOLET_TYPE_FACTORY, NULL);

	factory->feeder = feeder;
	return GST_RTSP_MEDIA_FACTORY(factory);
}

void media_set_mtu(GstRTSPMedia *media, unsigned int mtu)
{
	g_autoptr(GstElement) bin = gst_rtsp_media_get_element(media);
	g_autoptr(GstElement) pay = gst_bin_get_by_name(GST_BIN(bin), "pay0");

	g_object_set(pay, "mtu", mtu, NULL);
}

/* ---- thread pool -------------------------------------------------------------------- */

#define VOLET_TYPE_POOL volet_pool_get_type()
G_DECLARE_FINAL_TYPE(VoletPool, volet_pool, VOLET, POOL, GstRTSPThreadPool)

struct _VoletPool {
	GstRTSPThreadPool parent;
	GstRTSPThread *thread;
};

G_DEFINE_FINAL_TYPE(VoletPool, volet_pool, GST_TYPE_RTSP_THREAD_POOL)

static GstRTSPThread *get_thread(GstRTSPThreadPool *base,
				 GstRTSPThreadType type G_GNUC_UNUSED,
				 GstRTSPContext *context G_GNUC_UNUSED)
{
	VoletPool *pool = VOLET_POOL(base);

	gst_rtsp_thread_reuse(pool->thread);
	return pool->thread;
}

static void volet_pool_class_init(VoletPoolClass *class)
{
	GST_RTSP_THREAD_POOL_CLASS(class)->get_thread = get_thread;
}

static void volet_pool_init(VoletPool *pool G_GNUC_UNUSED)
{
}

GstRTSPThreadPool *media_thread_pool_new(GstRTSPThread *thread)
{
	VoletPool *pool = g_object_new(VOLET_TYPE_POOL, NULL);

	pool->thread = thread;
	return GST_RTSP_THREAD_POOL(pool);
}
