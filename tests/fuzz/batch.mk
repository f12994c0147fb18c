# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,batch,ingest base))

$(B)/tests/fuzz/gen_batch: tests/fuzz/gen_batch.c tests/unit/ingest/page_sim.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $<

# The seeds are in the tree; this makes them again after a change of wire.h.
fuzz-seeds-batch: $(B)/tests/fuzz/gen_batch
	@mkdir -p tests/fuzz/corpus/batch
	$< tests/fuzz/corpus/batch

.PHONY: fuzz-seeds-batch
