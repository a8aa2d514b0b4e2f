# SPDX-License-Identifier: MIT
SUMMARY = "Camera streamer in which a viewer sees one home"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://meson.build;beginline=1;endline=1;md5=b2dccaa94b3629a08bfb4f983cad6f89"

# The tree that this layer is part of, copied.
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../..:"
SRC_URI = "file://meson.build file://meson.options file://userspace \
           file://packaging/meson.build file://packaging/systemd file://packaging/udev"
S = "${UNPACKDIR}"

DEPENDS = "glib-2.0 gstreamer1.0 gstreamer1.0-plugins-base gstreamer1.0-rtsp-server \
           libcap libdrm libjpeg-turbo libseccomp openssl v4l-utils"

inherit meson pkgconfig systemd useradd

EXTRA_OEMESON = "-Dtests=false"

# H.264 is patented in some countries, and a library that Cisco didn't build comes without a
# licence for those patents: off unless a product's maker chooses it.
PACKAGECONFIG ??= "${@bb.utils.filter('DISTRO_FEATURES', 'systemd', d)}"
PACKAGECONFIG[openh264] = "-Dopenh264=enabled,-Dopenh264=disabled,openh264"
PACKAGECONFIG[systemd] = "-Dsystem-files=true,-Dsystem-files=false"

# Loaded by name; coreelements is in gstreamer1.0 itself.
RDEPENDS:${PN} = "gstreamer1.0-plugins-base-app gstreamer1.0-plugins-good-rtp \
                  gstreamer1.0-plugins-good-rtpmanager"

# The numbers are those of volet-spawn.service.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--gid 69800 volet; --gid 69801 volet-cam; --gid 69802 volet-sign"
USERADD_PARAM:${PN} = "--uid 69800 --gid volet --no-create-home --home-dir /nonexistent --shell /sbin/nologin volet; \
                       --uid 69802 --gid volet-sign --no-create-home --home-dir /nonexistent --shell /sbin/nologin volet-sign"

SYSTEMD_SERVICE:${PN} = "voletd.service voletd.socket volet-spawn.service"
FILES:${PN} += "${systemd_system_unitdir} ${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d ${nonarch_libdir}/udev"
