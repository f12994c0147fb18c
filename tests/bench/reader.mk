# SPDX-License-Identifier: MIT
$(B)/tests/bench/bench_tape: tests/bench/bench_tape.c $(foreach r,$(NEEDS_tape),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

bench-files: $(B)/tests/bench/bench_tape

# A part of `make bench`, and by itself.
bench-reader: tapebpf $(B)/tests/bench/bench_tape
	@B=$(B) tests/bench/reader

bench: bench-reader

.PHONY: bench-reader
