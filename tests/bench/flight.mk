# SPDX-License-Identifier: MIT
$(B)/tests/bench/bench_flight: tests/bench/bench_flight.c tests/unit/ingest/page_sim.h $(foreach r,$(NEEDS_session),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/unit -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) -lpthread

bench-files: $(B)/tests/bench/bench_flight
