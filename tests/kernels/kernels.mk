# SPDX-License-Identifier: MIT
#
# The guests of tests/kernels have nothing but an initramfs, so everything in it is linked statically.

KERNELS ?= 5.10 6.1 6.12
STATIC := $(B)/static
STATIC_LDLIBS = $(LDLIBS) -lelf -lzstd -llzma -lbz2 -lz -lpthread -lm

$(STATIC)/guest_exit: tests/kernels/guest_exit.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -o $@ $<

# libelf and libdw call dlopen and getpwnam nowhere that matters here; the linker warns about it all the same.
$(STATIC)/tapebpf: $(B)/user/cmd/main.o $(foreach r,$(NEEDS_cmd),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $(B)/user/cmd/main.o -Wl,--start-group $(filter %.a,$^) $(STATIC_LDLIBS) -Wl,--end-group

$(STATIC)/targets/%: tests/targets/%.c include/tape.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/targets -static -o $@ $< -lpthread

# Targets that need a shared object cannot be static: they say so in their first lines ("guest: no").
GUEST_TARGETS := $(patsubst tests/targets/%.c,$(STATIC)/targets/%,$(shell grep -L 'guest: no' tests/targets/th_*.c tests/targets/fp_*.c 2>/dev/null))

guest-files: $(STATIC)/guest_exit $(STATIC)/tapebpf $(GUEST_TARGETS)

kernels: guest-files
	@B=$(B) tests/kernels/run $(KERNELS)

.PHONY: guest-files
