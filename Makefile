# SPDX-License-Identifier: MIT
#
# Volet: `make run` and `make check` set up what is missing (they say what and where
# first), build, and go. Nothing is installed on this machine but mmdebstrap; everything
# else lives in a Debian 13 root in the cache. `make help` lists all.

vm := tests/vm
enter := $(vm)/enter python3 -B $(vm)

CAMERAS ?= 1
RTSP_PORT ?= 8554
DURATION ?= 0

# Of `make check-debug`
CYCLES ?= 1000
SECONDS ?= 120

.PHONY: help run check check-debug soak vm roots build deb series check-packages size clean

help:
	@echo 'make run       boot the virtual camera board and stream: prints an rtsp:// address'
	@echo '               CAMERAS=2 two cameras, RTSP_PORT=8554 the port on 127.0.0.1,'
	@echo '               DURATION=seconds to stop by itself (else Ctrl-C)'
	@echo 'make check     every test, about 40 minutes; the last line is "N passed, N failed, N skipped"'
	@echo '               ONLY="native operate:test_end" some parts of it, or some tests of a part'
	@echo 'make check-debug the kernel modules on a kernel with KASAN, lockdep, kmemleak and fault injection:'
	@echo '               that kernel is built once, up to 25 minutes and 1 GB of the cache; then about 25 more.'
	@echo '               CYCLES=1000 bind/unbind cycles, SECONDS=120 of random ioctls, ONLY="fail order"'
	@echo 'make soak      the attacks at their full length, an hour or two'
	@echo 'make vm        a shell on the board, with the drivers loaded and the tests in /volet'
	@echo 'make build     build the modules and the programs for arm64 into build/'
	@echo 'make modules   the kernel modules alone, for a kernel of yours:'
	@echo '               KDIR= (or KERNEL_SRC=, O=) ARCH= CROSS_COMPILE= INSTALL_MOD_PATH='
	@echo '               also modules_install and modules_clean; CAMSIM=y with the virtual board'
	@echo 'make size      how much of an image the module, the programs and their libraries are'
	@echo 'make deb       Debian packages of all of it, into build/deb'
	@echo 'make check-packages  installs and runs those in a fresh Debian 13, and runs what Buildroot'
	@echo '               and Yocto would; some minutes, and Debian'"'"'s package servers'
	@echo 'make series    the sensor driver and its binding as patches for the kernel, in build/series'
	@echo 'make clean     remove build/'
	@echo
	@echo 'The cache (about 6 GB) is $$VOLET_CACHE, by default ~/.cache/volet.'

roots:
	@$(vm)/roots

run: roots
	@$(enter)/run.py --cameras $(CAMERAS) --port $(RTSP_PORT) --duration $(DURATION)

check: roots
	@$(enter)/check.py $(ONLY)

check-debug: roots
	@VOLET_PASS='CYCLES=$(CYCLES) SECONDS=$(SECONDS)' $(vm)/enter python3 -B tests/debug/check_debug.py $(ONLY)

soak: roots
	@$(enter)/soak.py

vm: roots
	@$(enter)/shell.py --cameras $(CAMERAS)

build: roots
	@$(enter)/run.py --build-only

check-packages: deb
	@tests/packages/product-root >/dev/null
	@$(enter)/packages.py

size: roots
	@$(enter)/size.py

deb: roots
	@$(vm)/enter packaging/build-deb

series: roots
	@packaging/upstream/make-series

clean:
	rm -rf build

-include driver/modules.mk
