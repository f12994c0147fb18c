# SPDX-License-Identifier: MIT
#
# The guests of tests/kernels have nothing but an initramfs: what is traced there is linked statically, the program brings its libraries
# (a static libelf that links is not to be had everywhere).

KERNELS ?= 5.10 6.1 6.12
STATIC := $(B)/static

$(STATIC)/guest_exit: tests/kernels/guest_exit.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -o $@ $<

# The targets' own rules build them, statically: TARGETS_STATIC leaves out those that need a shared object.
guest-targets:
	@$(MAKE) --no-print-directory B=$(STATIC)/build TARGETS_STATIC=1 targets

guest-files: $(STATIC)/guest_exit tapebpf guest-targets

kernels: guest-files
	@B=$(B) tests/kernels/run $(KERNELS)

.PHONY: guest-files guest-targets
