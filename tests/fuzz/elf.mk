# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,elf,elf base))
