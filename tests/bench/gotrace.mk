# SPDX-License-Identifier: MIT
$(B)/tests/bench/bench_gotrace: tests/bench/bench_gotrace.c $(foreach r,$(NEEDS_gotrace),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

bench-files: $(B)/tests/bench/bench_gotrace
