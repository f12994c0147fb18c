# SPDX-License-Identifier: MIT
#
# Fuzzers: tests/fuzz/fuzz_NAME.c defines LLVMFuzzerTestOneInput, tests/fuzz/corpus/NAME/ holds its seeds, and
# tests/fuzz/NAME.mk says $(eval $(call FUZZ_TARGET,NAME,ROOMS)), the rooms being those that it needs. Made of it:
#   $(B)/tests/fuzz/replay_NAME	plain build with the replay driver: `make test` runs the corpus through it
#   $(B)/tests/fuzz/fuzz_NAME	clang -fsanitize=fuzzer,address,undefined: `make fuzz`, FUZZ_SECONDS each

FUZZ_SECONDS ?= 60
FUZZ_CC ?= $(CLANG)
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

define FUZZ_TARGET
$(B)/tests/fuzz/replay_$(1): tests/fuzz/fuzz_$(1).c tests/fuzz/replay.c $(foreach r,$(2),$(B)/lib/$(r).a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(filter-out -MMD -MP,$$(CPPFLAGS)) $$(LDFLAGS) -o $$@ $$(filter %.c,$$^) \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDLIBS) -lpthread

$(B)/tests/fuzz/fuzz_$(1): tests/fuzz/fuzz_$(1).c $(foreach r,$(2),$(wildcard user/$(r)/*.[ch]))
	@mkdir -p $$(@D)
	$$(FUZZ_CC) $$(CFLAGS) $$(filter-out -MMD -MP,$$(CPPFLAGS)) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined $$(LDFLAGS) -o $$@ $$(filter %.c,$$^) $$(LDLIBS) -lpthread
endef

fuzz: $(FUZZ_NAMES:%=$(B)/tests/fuzz/fuzz_%)
	@set -e; for n in $(FUZZ_NAMES); do \
		mkdir -p $(B)/fuzz/$$n; \
		echo "fuzz $$n: $(FUZZ_SECONDS) s"; \
		$(B)/tests/fuzz/fuzz_$$n -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(B)/fuzz/$$n- $(B)/fuzz/$$n tests/fuzz/corpus/$$n 2>$(B)/fuzz/$$n.log \
			|| { tail -n 40 $(B)/fuzz/$$n.log; exit 1; }; \
		grep -h 'number_of_executed_units\|new_units_added' $(B)/fuzz/$$n.log; \
	done
