# SPDX-License-Identifier: MIT

BENCH := $(B)/tests/bench
# Other rooms' own measurements (bench_ingest ...) are built by rules of theirs; these are the table's.
BENCH_TARGETS := bench_empty bench_sdt bench_many empty_usdt bench_attach bench_recorder
ifneq ($(wildcard include/tape.h),)
BENCH_TARGETS += bench_span
endif
# A peer that is not installed is skipped by the script, with a word.
ifneq ($(wildcard /usr/include/lttng/tracepoint.h /usr/include/*/lttng/tracepoint.h),)
BENCH_TARGETS += bench_lttng
endif

$(BENCH)/bench_lttng: tests/bench/bench_lttng.c tests/bench/lttng_hit.h tests/bench/bench_rounds.h
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Itests/bench -o $@ $< -llttng-ust -ldl

$(BENCH)/bench_many.c: tests/bench/gen_sites.sh
	@mkdir -p $(@D)
	$< 2000 > $@

$(BENCH)/bench_many: $(BENCH)/bench_many.c
	$(CC) -O1 -g -o $@ $<

$(BENCH)/empty_usdt: tests/bench/empty_usdt.c $(foreach r,$(NEEDS_elf),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< $(filter %.a,$^) $(LDLIBS)

$(BENCH)/bench_attach: tests/bench/bench_attach.c tests/bench/bench_rounds.h $(foreach r,$(NEEDS_attach),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/bench -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# The traced programs know nothing of the recorder's rooms.
$(BENCH)/bench_empty $(BENCH)/bench_sdt $(BENCH)/bench_span: $(BENCH)/%: tests/bench/%.c tests/bench/bench_rounds.h $(wildcard include/tape.h)
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -Wextra -Iinclude -Itests/bench -o $@ $< -lpthread

bench-files: $(addprefix $(BENCH)/,$(BENCH_TARGETS))

bench: tapebpf bench-files
	@B=$(B) tests/bench/run

.PHONY: bench-files
