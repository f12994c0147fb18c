# SPDX-License-Identifier: MIT
$(B)/tests/bench/bench_recorder: tests/bench/bench_recorder.c tests/unit/ingest/page_sim.h $(foreach r,$(NEEDS_flight),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
