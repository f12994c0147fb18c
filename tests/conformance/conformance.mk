# SPDX-License-Identifier: MIT

# Random programs as Go traces, for the referees of tests/conformance/gotrace.
$(B)/tests/conformance/gen_gotrace: tests/conformance/gen_gotrace.c $(foreach r,$(NEEDS_gotrace),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

test-files: $(B)/tests/conformance/gen_gotrace
