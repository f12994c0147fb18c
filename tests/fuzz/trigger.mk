# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,trigger,$(NEEDS_flight)))
