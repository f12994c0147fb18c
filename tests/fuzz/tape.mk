# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,tape,tape base))

# What stands behind the reader, of rooms that are otherwise out of a fuzzer's reach.
$(B)/tests/fuzz/fuzz_tape $(B)/tests/fuzz/replay_tape: user/cmd/show.c user/cmd/dump_text.c user/cmd/dump_tree.c \
	user/cmd/dump_json.c user/cmd/json_phrase.c user/model/sink.c user/model/pool.c user/model/value_set.c user/model/values.c user/ingest/rec_value.c $(wildcard user/model/window*.c user/fold/*.c user/expr/*.c) \
	user/export/value_text.c user/base/units.c

$(B)/tests/fuzz/make_tape_seeds: tests/fuzz/make_tape_seeds.c tests/unit/tape/tape_build.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(filter-out -MMD -MP,$(CPPFLAGS)) -o $@ $<

# The seeds are in the tree; this makes them again after a change of the format.
fuzz-seeds-tape: $(B)/tests/fuzz/make_tape_seeds
	@mkdir -p tests/fuzz/corpus/tape
	$< tests/fuzz/corpus/tape

.PHONY: fuzz-seeds-tape
