# SPDX-License-Identifier: MIT

# Other folders add what they build: `targets: ...`.
targets:

e2e: tapebpf targets
	@B=$(B) scripts/suite e2e

# The suite runs it for a minute.
SOAK_SECONDS ?= 3600
soak: tapebpf targets
	@B=$(abspath $(B)) SOAK_SECONDS=$(SOAK_SECONDS) tests/e2e/test_soak.sh

.PHONY: e2e soak
