// SPDX-License-Identifier: MIT
/*
 * Every request's way to the server. GStreamer's server sees nothing as it came from the
 * network: a request is checked here, answered here where the server isn't needed, and else
 * made anew from the few headers that matter. So there is no HTTP tunnel, no RTSP 2.0, no
 * UDP of its making, no ANNOUNCE or RECORD, no seek, and nobody unknown gets past its parser.
 */
#include "viewer.h"

#include <stdio.h>
#include <string.h>

#include "media.h"

#define METHODS		"OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER"
#define BODY_MAX	4096	/* of a request; nobody needs one */

void gate_reply(struct viewer *v, GstRTSPStatusCode code, GstRTSPMessage *request,
		const char *header, const char *value)
{
	GstRTSPMessage reply = { 0 };

	gst_rtsp_message_init_response(&reply, code, gst_rtsp_status_as_text(code), request);
	gst_rtsp_message_add_header(&reply, GST_RTSP_HDR_SERVER, "Volet");
	if (header)
		gst_rtsp_message_add_header_by_name(&reply, header, value);
	gst_rtsp_watch_send_message(v->watch, &reply, NULL);
	gst_rtsp_message_unset(&reply);
}

void gate_no_picture(struct viewer *v)
{
	GstRTSPMessage reply = { 0 };
	g_autofree char *cseq = NULL;

	g_mutex_lock(&v->lock);
	cseq = g_steal_pointer(&v->pending_cseq);
	g_mutex_unlock(&v->lock);
	if (!cseq)
		return;
	gst_rtsp_message_init_response(&reply, GST_RTSP_STS_SERVICE_UNAVAILABLE,
		gst_rtsp_status_as_text(GST_RTSP_STS_SERVICE_UNAVAILABLE), NULL);
	gst_rtsp_message_add_header(&reply, GST_RTSP_HDR_CSEQ, cseq);
	gst_rtsp_message_add_header(&reply, GST_RTSP_HDR_SERVER, "Volet");
	gst_rtsp_watch_send_message(v->watch, &reply, NULL);
	gst_rtsp_message_unset(&reply);
}

/* ---- requests ----------------------------------------------------------------------- */

static const char *get_header(const GstRTSPMessage *request, GstRTSPHeaderField field, int i)
{
	char *value = NULL;

	return gst_rtsp_message_get_header(request, field, &value, i) == GST_RTSP_OK ? value : NULL;
}

/* Is the request's Session header the connection's own? */
static bool session_matches(struct viewer *v, const GstRTSPMessage *request)
{
	const char *id = get_header(request, GST_RTSP_HDR_SESSION, 0);
	size_t n = id ? strcspn(id, ";") : 0;

	return v->talk.session && n == strlen(v->talk.session) &&
	       strncmp(id, v->talk.session, n) == 0;
}

static void set_pending(struct viewer *v, const char *cseq)
{
	g_mutex_lock(&v->lock);
	g_free(v->pending_cseq);
	v->pending_cseq = g_strdup(cseq);
	g_mutex_unlock(&v->lock);
}

static bool is_playing(struct viewer *v)
{
	bool playing;

	g_mutex_lock(&v->lock);
	playing = v->playing;
	g_mutex_unlock(&v->lock);
	return playing;
}

/* To the server, as a request of our own making. */
static void pass_on(struct viewer *v, const GstRTSPMessage *request, GstRTSPMethod method,
		    const char *uri, const char *transport)
{
	const char *cseq = get_header(request, GST_RTSP_HDR_CSEQ, 0);
	GstRTSPMessage clean = { 0 };

	gst_rtsp_message_init_request(&clean, method, uri);
	gst_rtsp_message_add_header(&clean, GST_RTSP_HDR_CSEQ, cseq);
	if (v->talk.session)
		gst_rtsp_message_add_header(&clean, GST_RTSP_HDR_SESSION, v->talk.session);
	if (transport)
		gst_rtsp_message_add_header(&clean, GST_RTSP_HDR_TRANSPORT, transport);
	set_pending(v, cseq);
	if (method == GST_RTSP_PLAY)
		feeder_expect_play(v->feeder);
	else if (method == GST_RTSP_DESCRIBE || method == GST_RTSP_SETUP)
		feeder_expect_blank(v->feeder);
	gst_rtsp_client_handle_message(v->client, &clean);
	if (method == GST_RTSP_PLAY && !is_playing(v))
		feeder_stop(v->feeder);
	set_pending(v, NULL);
	gst_rtsp_message_unset(&clean);
	if (v->talk.torn_down)
		viewer_end(v, VOLET_REASON_CLIENT_GONE, "TEARDOWN");
}

/*
 * The server can't do it twice (1.26: 503, since its pipeline was reset), and many clients look
 * first and play then. Nothing of what it said changes as long as the session lives.
 */
static void describe_again(struct viewer *v, const GstRTSPMessage *request)
{
	gst_rtsp_message_remove_header(v->talk.described, GST_RTSP_HDR_CSEQ, -1);
	gst_rtsp_message_add_header(v->talk.described, GST_RTSP_HDR_CSEQ,
				    get_header(request, GST_RTSP_HDR_CSEQ, 0));
	gst_rtsp_watch_send_message(v->watch, v->talk.described, NULL);
}

/* A request of the viewer that the connection is bound to. */
static void bound_request(struct viewer *v, GstRTSPMessage *request, GstRTSPMethod method,
			  const char *uri)
{
	g_autofree char *transport = NULL;

	if (method == GST_RTSP_GET_PARAMETER) {
		guint8 *body = NULL;
		guint size = 0;

		gst_rtsp_message_get_body(request, &body, &size);
		gate_reply(v, size ? GST_RTSP_STS_PARAMETER_NOT_UNDERSTOOD : GST_RTSP_STS_OK,
			   request, NULL, NULL);
		return;
	}
	if (method == GST_RTSP_DESCRIBE && v->talk.described) {
		describe_again(v, request);
		return;
	}
	/* One connection shows one stream once: a second pipeline would be a second viewer. */
	if (v->talk.session && (method == GST_RTSP_DESCRIBE || !session_matches(v, request))) {
		gate_reply(v, method == GST_RTSP_DESCRIBE || method == GST_RTSP_SETUP ?
			   GST_RTSP_STS_METHOD_NOT_VALID_IN_THIS_STATE :
			   GST_RTSP_STS_SESSION_NOT_FOUND, request, NULL, NULL);
		return;
	}
	if (!v->talk.session && method != GST_RTSP_DESCRIBE && method != GST_RTSP_SETUP) {
		gate_reply(v, GST_RTSP_STS_SESSION_NOT_FOUND, request, NULL, NULL);
		return;
	}
	if (method == GST_RTSP_SETUP) {
		transport = transport_choose(v, request);
		if (!transport || is_playing(v)) {
			gate_reply(v, transport ? GST_RTSP_STS_METHOD_NOT_VALID_IN_THIS_STATE :
				   GST_RTSP_STS_UNSUPPORTED_TRANSPORT, request, NULL, NULL);
			return;
		}
	}
	pass_on(v, request, method, uri, transport);
}

/* Is it a request that means anything here? If not, it was answered. */
static bool understood(struct viewer *v, GstRTSPMessage *request, GstRTSPMethod method,
		       GstRTSPVersion version)
{
	const GstRTSPMethod known = GST_RTSP_OPTIONS | GST_RTSP_DESCRIBE | GST_RTSP_SETUP |
				    GST_RTSP_PLAY | GST_RTSP_PAUSE | GST_RTSP_TEARDOWN |
				    GST_RTSP_GET_PARAMETER;

	if (version != GST_RTSP_VERSION_1_0)
		gate_reply(v, GST_RTSP_STS_RTSP_VERSION_NOT_SUPPORTED, request, NULL, NULL);
	else if (!get_header(request, GST_RTSP_HDR_CSEQ, 0))
		gate_reply(v, GST_RTSP_STS_BAD_REQUEST, request, NULL, NULL);
	else if (!(method & known))
		gate_reply(v, GST_RTSP_STS_METHOD_NOT_ALLOWED, request, "Allow", METHODS);
	else if (get_header(request, GST_RTSP_HDR_REQUIRE, 0))
		gate_reply(v, GST_RTSP_STS_OPTION_NOT_SUPPORTED, request, "Unsupported",
			   get_header(request, GST_RTSP_HDR_REQUIRE, 0));
	else if (method == GST_RTSP_OPTIONS)
		gate_reply(v, GST_RTSP_STS_OK, request, "Public", METHODS);
	else
		return true;
	return false;
}

static void handle_request(struct viewer *v, GstRTSPMessage *request)
{
	GstRTSPMethod method;
	GstRTSPVersion version;
	const char *uri;
	char camera[VOLET_NAME_MAX], profile[VOLET_NAME_MAX];
	bool named;

	gst_rtsp_message_parse_request(request, &method, &uri, &version);
	if (!understood(v, request, method, version))
		return;
	named = path_names(uri, camera, profile);
	/* Only what asks for a stream can bind the connection. */
	if (!v->talk.granted && method != GST_RTSP_DESCRIBE && method != GST_RTSP_SETUP &&
	    get_header(request, GST_RTSP_HDR_AUTHORIZATION, 0)) {
		gate_reply(v, GST_RTSP_STS_METHOD_NOT_VALID_IN_THIS_STATE, request, NULL, NULL);
		return;
	}
	if (auth_request(v, request, gst_rtsp_method_as_text(method), named ? camera : NULL, profile))
		bound_request(v, request, method, uri);
}

/* ---- connection --------------------------------------------------------------------- */

static GstRTSPResult message_received(GstRTSPWatch *watch G_GNUC_UNUSED, GstRTSPMessage *message,
				      gpointer data)
{
	struct viewer *v = data;

	g_mutex_lock(&v->lock);
	v->heard = g_get_monotonic_time();
	g_mutex_unlock(&v->lock);
	switch (gst_rtsp_message_get_type(message)) {
	case GST_RTSP_MESSAGE_REQUEST:
		handle_request(v, message);
		break;
	case GST_RTSP_MESSAGE_DATA:
		/* A viewer's RTCP tells nothing that is needed: it isn't even parsed. */
		if (!v->talk.granted)
			viewer_end(v, VOLET_REASON_PROTOCOL, "data before the grant");
		break;
	default:
		viewer_end(v, VOLET_REASON_PROTOCOL, "a response to nothing");
		break;
	}
	return GST_RTSP_OK;
}

static GstRTSPResult message_sent(GstRTSPWatch *watch G_GNUC_UNUSED, guint id, gpointer data)
{
	writer_sent(((struct viewer *)data)->writer, id);
	return GST_RTSP_OK;
}

static GstRTSPResult closed(GstRTSPWatch *watch G_GNUC_UNUSED, gpointer data)
{
	viewer_end(data, VOLET_REASON_CLIENT_GONE, "the connection was closed");
	return GST_RTSP_OK;
}

static GstRTSPResult failed(GstRTSPWatch *watch G_GNUC_UNUSED, GstRTSPResult result,
			    GstRTSPMessage *message G_GNUC_UNUSED, guint id G_GNUC_UNUSED,
			    gpointer data)
{
	struct viewer *v = data;

	if (result == GST_RTSP_EPARSE || result == GST_RTSP_ENOMEM) {
		gate_reply(v, result == GST_RTSP_EPARSE ? GST_RTSP_STS_BAD_REQUEST :
			   GST_RTSP_STS_REQUEST_ENTITY_TOO_LARGE, NULL, NULL, NULL);
		viewer_end(v, VOLET_REASON_PROTOCOL, "what came is not RTSP");
	} else {
		viewer_end(v, VOLET_REASON_CLIENT_GONE, "the connection broke");
	}
	return GST_RTSP_OK;
}

/* RTSP in HTTP joins two connections, and a session process has but one. */
static GstRTSPStatusCode tunnel_start(GstRTSPWatch *watch G_GNUC_UNUSED, gpointer data)
{
	viewer_end(data, VOLET_REASON_PROTOCOL, "RTSP over HTTP is not spoken here");
	return GST_RTSP_STS_NOT_IMPLEMENTED;
}

static GstRTSPResult tunnel_complete(GstRTSPWatch *watch G_GNUC_UNUSED, gpointer data)
{
	viewer_end(data, VOLET_REASON_PROTOCOL, "RTSP over HTTP is not spoken here");
	return GST_RTSP_ERROR;
}

/* ---- server ------------------------------------------------------------------------- */

/* The server passes no data on to this callback (1.26), so it hangs on the client. */
#define CLIENT_VIEWER "volet-viewer"

/* An answer of the server, on its way: put right, and kept where it is one to DESCRIBE. */
static void look_at_answer(struct viewer *v, GstRTSPMessage *answer)
{
	const char *type = get_header(answer, GST_RTSP_HDR_CONTENT_TYPE, 0);

	transport_answer(v, answer);
	if (type && strcmp(type, "application/sdp") == 0 && !v->talk.described)
		gst_rtsp_message_copy(answer, &v->talk.described);
}

static gboolean tell_stream(gpointer transport)
{
	gst_rtsp_stream_transport_message_sent(transport);
	return G_SOURCE_REMOVE;
}

/*
 * The stream's sending thread takes one packet of RTCP or one frame, and then sleeps until
 * it is told that it was sent, even if the other is waiting. It holds a lock while it is
 * here, so net tells it.
 */
static gboolean send_messages(GstRTSPClient *client, GstRTSPMessage *messages, guint n,
			      gboolean last G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
	struct viewer *v = g_object_get_data(G_OBJECT(client), CLIENT_VIEWER);
	GSource *source;

	if (gst_rtsp_message_get_type(messages) == GST_RTSP_MESSAGE_DATA) {
		source = g_idle_source_new();
		g_source_set_priority(source, G_PRIORITY_DEFAULT);
		g_source_set_callback(source, tell_stream, g_object_ref(v->transport),
				      g_object_unref);
		g_source_attach(source, v->net);
		g_source_unref(source);
	} else {
		look_at_answer(v, messages);
	}
	return writer_send(v->writer, messages, n);
}

static void new_session(GstRTSPClient *client G_GNUC_UNUSED, GstRTSPSession *session,
			gpointer data)
{
	struct viewer *v = data;

	g_free(v->talk.session);
	v->talk.session = g_strdup(gst_rtsp_session_get_sessionid(session));
}

static void set_up(GstRTSPClient *client G_GNUC_UNUSED, GstRTSPContext *context, gpointer data)
{
	const GstRTSPTransport *t = gst_rtsp_stream_transport_get_transport(context->trans);
	struct viewer *v = data;

	/* Not while it plays (see above): nobody is sending on the old one. */
	g_set_object(&v->transport, context->trans);
	writer_set_channel(v->writer, (unsigned int)t->interleaved.min);
	if (v->talk.udp_client)
		media_set_mtu(context->media, VOLET_PACKET_MAX);
}

static void set_playing(struct viewer *v, bool playing)
{
	g_mutex_lock(&v->lock);
	v->playing = playing;
	g_mutex_unlock(&v->lock);
}

static void play(GstRTSPClient *client G_GNUC_UNUSED, GstRTSPContext *context G_GNUC_UNUSED,
		 gpointer data)
{
	set_playing(data, true);
}

static void pause_play(GstRTSPClient *client G_GNUC_UNUSED,
		       GstRTSPContext *context G_GNUC_UNUSED, gpointer data)
{
	struct viewer *v = data;

	set_playing(v, false);
	feeder_stop(v->feeder);
}

static void torn_down(GstRTSPClient *client G_GNUC_UNUSED,
		      GstRTSPContext *context G_GNUC_UNUSED, gpointer data)
{
	struct viewer *v = data;

	set_playing(v, false);
	feeder_stop(v->feeder);
	v->talk.torn_down = true;
}

static void make_server(struct viewer *v)
{
	g_autoptr(GstRTSPSessionPool) sessions = gst_rtsp_session_pool_new();

	gst_rtsp_session_pool_set_max_sessions(sessions, 1);
	v->mounts = gst_rtsp_mount_points_new();
	v->client = gst_rtsp_client_new();
	gst_rtsp_client_set_session_pool(v->client, sessions);
	gst_rtsp_client_set_mount_points(v->client, v->mounts);
	gst_rtsp_client_set_thread_pool(v->client, v->pool);
	gst_rtsp_client_set_connection(v->client, v->connection);
	g_object_set_data(G_OBJECT(v->client), CLIENT_VIEWER, v);
	gst_rtsp_client_set_send_messages_func(v->client, send_messages, v, NULL);
	g_signal_connect(v->client, "new-session", G_CALLBACK(new_session), v);
	g_signal_connect(v->client, "setup-request", G_CALLBACK(set_up), v);
	g_signal_connect(v->client, "play-request", G_CALLBACK(play), v);
	g_signal_connect(v->client, "pause-request", G_CALLBACK(pause_play), v);
	g_signal_connect(v->client, "teardown-request", G_CALLBACK(torn_down), v);
}

/*
 * Behind volet-tls the connection is a local stream. The library asks it for addresses and ports
 * all the same (1.26), complains that it has none, and goes on well without.
 */
static void not_inet(const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
	if (!g_str_has_prefix(message, "g_inet_"))
		g_log_default_handler(domain, level, message, data);
}

bool gate_open(struct viewer *v, char why[SESSION_WHY_MAX])
{
	static GstRTSPWatchFuncs funcs = {
		.message_received = message_received, .message_sent = message_sent,
		.closed = closed, .error_full = failed,
		.tunnel_start = tunnel_start, .tunnel_complete = tunnel_complete,
	};
	g_autoptr(GError) error = NULL;
	g_autoptr(GSocket) socket = g_socket_new_from_fd(v->socket, &error);
	g_autoptr(GSocketAddress) peer = NULL;
	g_autofree char *ip = NULL;

	if (socket)
		peer = g_socket_get_remote_address(socket, &error);
	if (!peer) {
		snprintf(why, SESSION_WHY_MAX, "descriptor %d is no connected socket: %s", v->socket,
			 error ? error->message : "no address");
		return false;
	}
	if (G_IS_INET_SOCKET_ADDRESS(peer))
		ip = g_inet_address_to_string(
			g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(peer)));
	else
		g_log_set_handler("GLib-GIO", G_LOG_LEVEL_CRITICAL, not_inet, NULL);
	if (gst_rtsp_connection_create_from_socket(socket, ip ?: "0.0.0.0", 0, NULL,
						   &v->connection) != GST_RTSP_OK) {
		snprintf(why, SESSION_WHY_MAX, "no RTSP connection on descriptor %d", v->socket);
		return false;
	}
	make_server(v);
	gst_rtsp_connection_set_content_length_limit(v->connection, BODY_MAX);
	v->watch = gst_rtsp_watch_new(v->connection, &funcs, v, NULL);
	gst_rtsp_watch_attach(v->watch, v->net);
	v->heard = g_get_monotonic_time();
	return true;
}
