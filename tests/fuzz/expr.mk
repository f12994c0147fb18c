# SPDX-License-Identifier: MIT
$(eval $(call FUZZ_TARGET,expr,$(NEEDS_expr)))
