# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,expr,expr base))
