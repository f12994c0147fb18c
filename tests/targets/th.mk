# SPDX-License-Identifier: MIT
# Programs that trace with tape.h, each with its ground truth (tests/targets/truth.h). TARGETS_STATIC=1: for the guests of
# tests/kernels; what needs a shared object is left out then.
TH_NAMES := truth exit exec fork signal longjmp threads manual fields big deep flat $(if $(TARGETS_STATIC),,dso)
TH_TARGETS := $(addprefix $(B)/tests/targets/th_,$(TH_NAMES)) \
	$(if $(TARGETS_STATIC),,$(B)/tests/targets/th_dso_a.so $(B)/tests/targets/th_dso_b.so)
TH_CFLAGS := -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Iinclude -pthread
TH_DEPS := tests/targets/truth.h include/tape.h

$(B)/tests/targets/th_dso_%.so: tests/targets/th_dso_lib.c $(TH_DEPS)
	@mkdir -p $(@D)
	$(CC) $(TH_CFLAGS) -fPIC -shared -DNAME=$* -o $@ $<

$(B)/tests/targets/th_%: tests/targets/th_%.c $(TH_DEPS)
	@mkdir -p $(@D)
	$(CC) $(TH_CFLAGS) $(if $(TARGETS_STATIC),-static) -o $@ $< -ldl

targets: $(TH_TARGETS)
.PHONY: targets
