# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,tape,tape base))

# The views behind the reader, of a room that is otherwise out of a fuzzer's reach.
$(B)/tests/fuzz/fuzz_tape $(B)/tests/fuzz/replay_tape: user/cmd/show.c user/cmd/dump_text.c user/cmd/dump_tree.c \
	user/cmd/dump_json.c

$(B)/tests/fuzz/make_tape_seeds: tests/fuzz/make_tape_seeds.c tests/unit/tape/tape_build.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(filter-out -MMD -MP,$(CPPFLAGS)) -o $@ $<

# The seeds are in the tree; this makes them again after a change of the format.
fuzz-seeds-tape: $(B)/tests/fuzz/make_tape_seeds
	@mkdir -p tests/fuzz/corpus/tape
	$< tests/fuzz/corpus/tape

.PHONY: fuzz-seeds-tape
