# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel modules, for the top Makefile to include. Built as image builders do it:
#
#   make modules KDIR=<kernel> [O=<its build directory>] [ARCH=arm64] [CROSS_COMPILE=...]
#   make modules_install KDIR=<kernel> INSTALL_MOD_PATH=<root of the image>
#
# The virtual board is for tests, so it stays out of these unless CAMSIM=y is said.
# KERNEL_SRC is another name for KDIR; without either it is the running kernel.

ifdef KERNEL_SRC
KDIR ?= $(KERNEL_SRC)
endif
CAMSIM ?= n
KDIR ?= /lib/modules/$(shell uname -r)/build

# Variables of the command line (ARCH, W, C, INSTALL_MOD_PATH, ...) reach the kernel's make
# by themselves; those that came by the environment only are its own as well.
kbuild = @if [ ! -e '$(KDIR)/Makefile' ]; then \
	echo "volet: no kernel to build for in $(KDIR): install its headers, or say KDIR=<kernel>" >&2; \
	exit 1; fi; \
	$(MAKE) -C '$(KDIR)' $(if $(O),O='$(O)') M='$(CURDIR)' CAMSIM='$(CAMSIM)'

.PHONY: modules modules_install clean-modules modules_clean

modules:
	$(kbuild) modules

modules_install:
	$(kbuild) modules_install

clean-modules modules_clean:
	$(kbuild) clean
