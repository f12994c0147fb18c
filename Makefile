# SPDX-License-Identifier: MIT
#
# make            ./tapebpf
# make unit       unit tests, no root needed
# make test       everything that tests (root for the kernel parts)
# make bench      the table of speeds and sizes
# make fuzz       fuzzers of every reader of foreign bytes (FUZZ_SECONDS=60 each)
# make soak       an hour of recorders whose memory must not grow (SOAK_SECONDS=3600; needs root)
# make kernels    the core of the suite under Debian's own kernels, in QEMU
# make install    PREFIX=/usr/local
#
# B=DIR builds elsewhere. Every folder of tests/ may bring a part of this Makefile: tests/*/*.mk.

B ?= build
PREFIX ?= /usr/local
CC ?= gcc
CXX ?= g++
CLANG ?= clang
BPFTOOL ?= bpftool
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wshadow -Wstrict-prototypes -D_GNU_SOURCE
override CPPFLAGS += -Iuser -Iinclude -I$(B) -MMD -MP
LDLIBS += -lbpf -lelf -ldw -lz -lm -lpthread

ARCH := $(shell uname -m)
BPF_ARCH := $(if $(filter aarch64,$(ARCH)),arm64,x86)

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# The rooms, in the one direction that arrows may run (see tests/unit/rooms.sh).
ROOMS := base elf ingest model expr attach tape export gotrace flight fold session cmd
# What a room's archive needs behind it when a unit test of that room is linked.
NEEDS_base := base
NEEDS_elf := elf base
NEEDS_ingest := ingest base
NEEDS_model := model elf ingest base
NEEDS_expr := expr model elf ingest base
NEEDS_attach := attach elf base
NEEDS_tape := tape model ingest elf base
NEEDS_export := export model elf ingest base
NEEDS_gotrace := gotrace export model elf ingest base
NEEDS_flight := flight gotrace export expr tape model ingest elf base
NEEDS_fold := fold export model elf ingest base
NEEDS_session := session flight gotrace export tape attach expr model ingest elf base
NEEDS_cmd := cmd session fold flight gotrace export tape attach expr model ingest elf base

room_objs = $(patsubst %.c,$(B)/%.o,$(filter-out user/cmd/main.c,$(wildcard user/$(1)/*.c)))

define ROOM
$(B)/lib/$(1).a: $(call room_objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call ROOM,$(r))))

all: tapebpf

tapebpf: $(B)/user/cmd/main.o $(foreach r,$(NEEDS_cmd),$(B)/lib/$(r).a)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(B)/user/cmd/main.o -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

# .incbin, which the compiler's dependencies do not know
$(B)/user/fold/svg_page.o: user/fold/svg_page.css user/fold/svg_page.js

# --- BPF -------------------------------------------------------------------------------------------------
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(patsubst %.bpf.c,$(B)/%.bpf.o,$(BPF_SRC))
SKEL := $(B)/tapebpf.skel.h

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h vmlinux/*.h include/tapebpf/*.h)
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Ibpf -Ivmlinux -Iinclude -c -o $@ $<

$(B)/tapebpf.bpf.o: $(BPF_OBJ)
	$(BPFTOOL) gen object $@ $^

$(SKEL): $(B)/tapebpf.bpf.o
	$(BPFTOOL) gen skeleton $< name tapebpf_bpf > $@

$(call room_objs,attach): | $(SKEL)

# --- unit tests: tests/unit/ROOM/test_MODULE.c ---------------------------------------------------------------
UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/test_*.c))

define UNIT_TEST
$(B)/tests/unit/$(1)/test_%: tests/unit/$(1)/test_%.c $(foreach r,$(NEEDS_$(1)),$(B)/lib/$(r).a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(CPPFLAGS) -Itests/unit $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -lcmocka $$(LDLIBS) -lpthread
endef
$(foreach r,$(ROOMS),$(eval $(call UNIT_TEST,$(r))))

unit: $(UNIT)
	@scripts/run-unit $(UNIT)

# --- everything that tests (scripts/suite says what the groups are) ------------------------------------------
# GROUPS="unit e2e" runs only those. KERNELS: what `make test` boots; `make kernels` boots all.
GROUPS ?=
TEST_KERNELS ?= 6.1
BPF_TESTS = $(patsubst %.c,$(B)/%,$(wildcard tests/bpf/test_*.c))
REPLAYS = $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))

test: all test-files
	@B=$(B) UNIT="$(UNIT)" BPF_TESTS="$(BPF_TESTS)" REPLAYS="$(REPLAYS)" KERNELS="$(TEST_KERNELS)" scripts/suite $(GROUPS)

test-files: $(UNIT) $(BPF_TESTS) $(REPLAYS) targets examples guest-files

-include $(wildcard tests/*/*.mk examples/*.mk man/*.mk)
-include $(shell find $(B) -name '*.d' 2>/dev/null)

install: tapebpf
	install -D -m 755 tapebpf $(DESTDIR)$(PREFIX)/bin/tapebpf
	install -D -m 644 include/tape.h $(DESTDIR)$(PREFIX)/include/tape.h
	for m in man/*.1; do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man1/$$(basename $$m); done
	for m in man/*.7; do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man7/$$(basename $$m); done

clean:
	rm -rf $(B) tapebpf

.PHONY: all unit test test-files targets bench fuzz kernels install clean
