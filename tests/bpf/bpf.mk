# SPDX-License-Identifier: MIT
#
# Tests of bpf/ and user/attach against the running kernel: root needed. Each program is its own target: it forks
# children that run the probes which it carries itself.

$(B)/tests/bpf/test_%: tests/bpf/test_%.c $(foreach r,$(NEEDS_attach),$(B)/lib/$(r).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/bpf $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(LDLIBS) -lpthread
