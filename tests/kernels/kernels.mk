# SPDX-License-Identifier: MIT
#
# The guests of tests/kernels have nothing but an initramfs, so everything in it is linked statically.

KERNELS ?= 5.10 6.1 6.12
STATIC := $(B)/static
STATIC_LDLIBS = $(filter-out -ldw,$(LDLIBS)) -lelf -lzstd -lz -lpthread -lm

$(STATIC)/guest_exit: tests/kernels/guest_exit.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -o $@ $<

# libbpf calls getpwnam nowhere that matters here; the linker warns about it all the same.
$(STATIC)/tapebpf: $(B)/user/cmd/main.o $(B)/tests/kernels/no_lines.o $(foreach r,$(NEEDS_cmd),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) $(STATIC_LDLIBS) -Wl,--end-group

# The targets' own rules build them, statically: TARGETS_STATIC leaves out those that need a shared object.
guest-targets:
	@$(MAKE) --no-print-directory B=$(STATIC)/build TARGETS_STATIC=1 targets

guest-files: $(STATIC)/guest_exit $(STATIC)/tapebpf guest-targets

kernels: guest-files
	@B=$(B) tests/kernels/run $(KERNELS)

.PHONY: guest-files guest-targets
