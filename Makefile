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
JOBS ?= 1

# Of `make check-debug`
CYCLES ?= 1000
SECONDS ?= 120

.PHONY: help run check check-debug soak mutants analysers vm roots build deb deb-arm64 series check-packages check-packages-arm64 size clean

help:
	@echo 'make run       boot the virtual camera board and stream: prints an rtsp:// address'
	@echo '               CAMERAS=2 two cameras, RTSP_PORT=8554 the port on 127.0.0.1,'
	@echo '               DURATION=seconds to stop by itself (else Ctrl-C)'
	@echo 'make check     every test, 20 to 25 minutes; the last line is "N passed, N failed, N skipped"'
	@echo '               ONLY="native operate:test_end" some parts of it, or some tests of a part'
	@echo 'make check-debug the kernel modules on a kernel with KASAN, lockdep, kmemleak and fault injection:'
	@echo '               that kernel is built once, 10 to 25 minutes and 200 MB of the cache; then an hour and a half or two'
	@echo '               CYCLES=1000 bind/unbind cycles, SECONDS=120 of random ioctls, ONLY="fail order"'
	@echo 'make soak      the attacks at their full length, an hour or two'
	@echo 'make mutants   are the sensor driver'"'"'s tests any good: 600 bugs in it, each to be caught; an hour,'
	@echo '               minutes when little has changed. JOBS=2 two boards at a time, ONLY= a regular expression'
	@echo 'make analysers the kernel'"'"'s Coccinelle checks, and the driver for the newest kernel of Debian 13;'
	@echo '               some minutes, and Debian'"'"'s package servers'
	@echo 'make vm        a shell on the board, with the drivers loaded and the tests in /volet'
	@echo 'make build     build the modules and the programs for arm64 into build/'
	@echo 'make modules   the kernel modules alone, for a kernel of yours:'
	@echo '               KDIR= (or KERNEL_SRC=, O=) ARCH= CROSS_COMPILE= INSTALL_MOD_PATH='
	@echo '               also modules_install and modules_clean; CAMSIM=y with the virtual board'
	@echo 'make size      how much of an image the module, the programs and their libraries are'
	@echo 'make deb       Debian packages of all of it, into build/deb'
	@echo 'make deb-arm64 the same for arm64, into build/deb-arm64; its root is made first (as root)'
	@echo 'make check-packages  installs and runs those in a fresh Debian 13, then with systemd running, and runs'
	@echo '               what Buildroot and Yocto would; ten minutes, as root, and Debian'"'"'s package servers'
	@echo 'make check-packages-arm64  those for arm64 on the virtual board with systemd, modules built by DKMS there;'
	@echo '               half an hour the first time'
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

mutants: roots
	@$(enter)/mutants.py --jobs $(JOBS) --only '$(ONLY)'

analysers: roots
	@tests/static/analysers

vm: roots
	@$(enter)/shell.py --cameras $(CAMERAS)

build: roots
	@$(enter)/run.py --build-only

check-packages: deb
	@tests/packages/product-root >/dev/null
	@$(enter)/packages.py
	@tests/packages/under-systemd python3 -B $(vm)/packages.py systemd

check-packages-arm64: deb deb-arm64
	@eval "$$(tests/packages/board-roots --paths)"; $(enter)/packages.py systemd "/cache/$${board##*/}"

size: roots
	@$(enter)/size.py

deb: roots
	@$(vm)/enter packaging/build-deb

deb-arm64: roots
	@tests/packages/board-roots
	@tests/packages/enter-cross packaging/build-deb arm64

series: roots
	@packaging/upstream/make-series

clean:
	rm -rf build

-include driver/modules.mk
