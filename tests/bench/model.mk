# SPDX-License-Identifier: MIT
#
# The model's own measurement: make build/tests/bench/bench_model and run it.

$(B)/tests/bench/bench_model: tests/bench/bench_model.c $(foreach r,$(NEEDS_model),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
