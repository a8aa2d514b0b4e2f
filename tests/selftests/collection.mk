# SPDX-License-Identifier: MIT
#
# What each collection's Makefile includes after naming, as in the kernel's lib.mk,
#   TEST_GEN_PROGS  programs made of one C file each and of the common ones in ..
#   TEST_GEN_PROGS_EXTENDED  the same, but not among those that are run
#   TEST_PROGS      scripts
#   TEST_PROGS_EXTENDED  the same, but not among those that are run
#   TEST_GEN_MODULES  kernel modules made of one C file each, built against KDIR
CC := $(CROSS_COMPILE)gcc
# The harness comes in as a system header: its macros are not ours to keep free of warnings.
CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Werror -I.. -isystem $(KSRC)/tools/testing/selftests \
	$(if $(SYSROOT),--sysroot=$(SYSROOT))
LDFLAGS := -static
COMMON := $(wildcard ../*.c)
PROGRAMS := $(TEST_GEN_PROGS) $(TEST_PROGS)

.PHONY: all
all: $(addprefix $(OUTPUT)/,$(PROGRAMS) $(TEST_GEN_PROGS_EXTENDED) $(TEST_PROGS_EXTENDED) $(TEST_GEN_MODULES:=.ko)) $(OUTPUT)/programs

$(addprefix $(OUTPUT)/,$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED)): $(OUTPUT)/%: %.c $(COMMON) $(wildcard *.h ../*.h) \
		../collection.mk
	@echo '  CC      $*'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(COMMON)

$(addprefix $(OUTPUT)/,$(TEST_PROGS) $(TEST_PROGS_EXTENDED)): $(OUTPUT)/%: %
	@cp $< $@

$(addprefix $(OUTPUT)/,$(TEST_GEN_MODULES:=.ko)): $(OUTPUT)/%.ko: %.c
	@rm -rf $@.build && mkdir $@.build && cp $< $@.build && echo 'obj-m += $*.o' >$@.build/Kbuild
	@$(MAKE) --no-print-directory -C '$(KDIR)' M=$@.build W=1e modules
	@$(CROSS_COMPILE)strip --strip-debug -o $@ $@.build/$*.ko && rm -rf $@.build

$(OUTPUT)/programs: Makefile
	@for program in $(PROGRAMS); do echo $$program; done >$@
