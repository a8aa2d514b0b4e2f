# SPDX-License-Identifier: MIT
SUMMARY = "Driver of the GalaxyCore GC2053 image sensor"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://driver/gc2053.c;beginline=1;endline=1;md5=fcab174c20ea2e2bc0be64b493708266"

# The tree that this layer is part of, copied.
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../..:"
SRC_URI = "file://Makefile file://Kbuild file://driver"
S = "${UNPACKDIR}"

inherit module

# The class calls make without a target, which in this tree prints a help text.
MAKE_TARGETS = "modules"

# The virtual board is for tests and never for an image.
do_configure:prepend() {
	rm -rf ${S}/driver/camsim
}
