# SPDX-License-Identifier: MIT

# Other folders add what they build: `targets: ...`.
targets:

e2e: tapebpf targets
	@B=$(B) scripts/suite e2e

.PHONY: e2e
