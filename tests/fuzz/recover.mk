# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,recover,flight gotrace export expr tape model ingest elf base))
