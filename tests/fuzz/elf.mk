# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,elf,elf base))

$(B)/tests/fuzz/make_elf_seeds: tests/fuzz/make_elf_seeds.c tests/unit/elf/elf_maker.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(filter-out -MMD -MP,$(CPPFLAGS)) -Itests -o $@ $<
