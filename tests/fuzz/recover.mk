# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,recover,$(NEEDS_flight)))
