# SPDX-License-Identifier: MIT
# Targets with plain sys/sdt.h probes. TARGETS_STATIC=1: for the guests of tests/kernels.
USDT_TARGETS := $(addprefix $(B)/tests/targets/,usdt_args usdt_pairs usdt_flat usdt_names usdt_long usdt_renamed)
TARGET_LDFLAGS := $(if $(TARGETS_STATIC),-static)

$(B)/tests/targets/usdt_args: tests/targets/usdt_args.c tests/targets/usdt_args_plain.c tests/targets/usdt_args.h
$(B)/tests/targets/usdt_%: tests/targets/usdt_%.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -pthread $(TARGET_LDFLAGS) -o $@ $(filter %.c,$^)

ifndef TARGETS_STATIC
USDT_TARGETS += $(addprefix $(B)/tests/targets/,usdt_halves usdt_halves.so)

$(B)/tests/targets/usdt_halves.so: tests/targets/usdt_halves.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -fPIC -shared -DLIBRARY -o $@ $<
endif

targets: $(USDT_TARGETS)
.PHONY: targets
