# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,folded,base))

$(B)/tests/fuzz/fuzz_folded $(B)/tests/fuzz/replay_folded: $(wildcard user/fold/*.c) user/export/value_text.c
