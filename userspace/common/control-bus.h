/* SPDX-License-Identifier: MIT */
/*
 * The control bus: D-Bus from peer to peer, without a bus daemon, over a socket of this
 * machine. Documented for other callers in Documentation/operation.rst.
 */
#ifndef VOLET_CONTROL_BUS_H
#define VOLET_CONTROL_BUS_H

#define CONTROL_SOCKET		"/run/volet/control.sock"
#define CONTROL_PATH		"/org/volet/Control1"
#define CONTROL_INTERFACE	"org.volet.Control1"
#define CONTROL_NO_MATCH	"org.volet.Error.NoMatch"
#define CONTROL_AMBIGUOUS	"org.volet.Error.Ambiguous"

/* A dictionary for the daemon, and one for each camera and each granted session. */
#define CONTROL_STATUS_TYPE	"(a{sv}aa{sv}aa{sv})"
/* Session id ("" when it wasn't granted yet), viewer, camera and source of each that ended. */
#define CONTROL_ENDED_TYPE	"(a(ssss))"

#define CONTROL_XML \
	"<node><interface name='" CONTROL_INTERFACE "'>" \
	"<method name='Status'>" \
	"<arg type='a{sv}' name='daemon' direction='out'/>" \
	"<arg type='aa{sv}' name='cameras' direction='out'/>" \
	"<arg type='aa{sv}' name='sessions' direction='out'/></method>" \
	"<method name='End'>" \
	"<arg type='s' name='what' direction='in'/>" \
	"<arg type='a(ssss)' name='ended' direction='out'/></method>" \
	"</interface></node>"

#endif
