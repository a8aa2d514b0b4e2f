# SPDX-License-Identifier: MIT
include $(sort $(wildcard $(BR2_EXTERNAL_VOLET_PATH)/package/*/*.mk))
