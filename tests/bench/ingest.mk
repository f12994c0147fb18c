# SPDX-License-Identifier: MIT
$(B)/tests/bench/bench_ingest: tests/bench/bench_ingest.c tests/unit/ingest/page_sim.h $(foreach r,$(NEEDS_ingest),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< $(filter %.a,$^) $(LDLIBS)

bench-files: $(B)/tests/bench/bench_ingest
