# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,trigger,flight expr tape model ingest elf base))
