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

.PHONY: help run check soak vm roots build series clean

help:
	@echo 'make run       boot the virtual camera board and stream: prints an rtsp:// address'
	@echo '               CAMERAS=2 two cameras, RTSP_PORT=8554 the port on 127.0.0.1,'
	@echo '               DURATION=seconds to stop by itself (else Ctrl-C)'
	@echo 'make check     every test; the last line is "N passed, N failed, N skipped"'
	@echo '               ONLY="native operate:test_end" some parts of it, or some tests of a part'
	@echo 'make soak      the attacks at their full length, about half an hour'
	@echo 'make vm        a shell on the board, with the drivers loaded and the tests in /volet'
	@echo 'make build     build the modules and the programs for arm64 into build/'
	@echo 'make modules   the kernel modules alone, for a kernel of yours:'
	@echo '               KDIR= (or KERNEL_SRC=, O=) ARCH= CROSS_COMPILE= INSTALL_MOD_PATH='
	@echo '               also modules_install and modules_clean'
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

soak: roots
	@$(enter)/soak.py

vm: roots
	@$(enter)/shell.py --cameras $(CAMERAS)

build: roots
	@$(enter)/run.py --build-only

series: roots
	@packaging/upstream/make-series

clean:
	rm -rf build

-include driver/modules.mk
