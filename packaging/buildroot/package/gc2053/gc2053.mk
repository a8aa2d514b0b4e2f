# SPDX-License-Identifier: MIT
################################################################################
#
# gc2053
#
################################################################################

GC2053_VERSION = 0.1.0
GC2053_SITE = $(BR2_EXTERNAL_VOLET_PATH)/../../driver
GC2053_SITE_METHOD = local
GC2053_LICENSE = GPL-2.0

# The virtual board is for tests and never for an image.
GC2053_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude camsim

$(eval $(kernel-module))
$(eval $(generic-package))
