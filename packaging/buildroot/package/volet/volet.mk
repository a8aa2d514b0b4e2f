# SPDX-License-Identifier: MIT
################################################################################
#
# volet
#
################################################################################

VOLET_VERSION = 0.1.0
VOLET_SITE = $(BR2_EXTERNAL_VOLET_PATH)/../..
VOLET_SITE_METHOD = local
VOLET_LICENSE = MIT
VOLET_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude build

VOLET_DEPENDENCIES = host-pkgconf gstreamer1 gst1-plugins-base gst1-plugins-good \
	gst1-rtsp-server jpeg-turbo libcap libdrm libglib2 libseccomp libv4l openssl

VOLET_CONF_OPTS = -Dtests=false

ifeq ($(BR2_INIT_SYSTEMD),y)
VOLET_CONF_OPTS += -Dsystem-files=true
else
VOLET_CONF_OPTS += -Dsystem-files=false
endif

ifeq ($(BR2_PACKAGE_VOLET_OPENH264),y)
VOLET_DEPENDENCIES += libopenh264
VOLET_CONF_OPTS += -Dopenh264=enabled
else
VOLET_CONF_OPTS += -Dopenh264=disabled
endif

# The numbers are those of volet-spawn.service.
define VOLET_USERS
	volet 69800 volet 69800 * - - - Volet
	volet-sign 69802 volet-sign 69802 * - - - Volet, signs TLS handshakes
	- -1 volet-cam 69801 - - - - Volet, the nodes of cameras
endef

$(eval $(meson-package))
