# SPDX-License-Identifier: MIT
#
# Targets with tape.h. Each is a small program that shows one part of the contract; th_types is also built in every way that the
# header promises to work. TARGETS_STATIC=1 (guests): statically, and without those that load shared objects.
TH := $(B)/tests/targets
TH_CFLAGS := -g -std=gnu11 -Wall -Wextra -pthread -Iinclude
TH_DEPS := include/tape.h tests/targets/truth.h
TH_TARGETS := $(addprefix $(TH)/,th_exit th_flat th_fork th_sandbox th_signal th_threads th_tree th_types th_deep th_trigger th_churn th_hand th_token th_large truth_check)

$(TH)/th_%: tests/targets/th_%.c $(TH_DEPS)
	@mkdir -p $(@D)
	$(CC) -O2 $(TH_CFLAGS) $(TARGET_LDFLAGS) -o $@ $< $(TH_LIBS)

$(TH)/truth_check: tests/targets/truth_check.c tests/targets/truth.h
	@mkdir -p $(@D)
	$(CC) -O2 $(TH_CFLAGS) $(TARGET_LDFLAGS) -o $@ $<

ifndef TARGETS_STATIC
TH_BUILDS := O0 O1 O3 Os static PIE noPIE hidden LTO gc c11 clang clang_O0 asan
TH_TARGETS += $(addprefix $(TH)/,th_dso th_dso_a.so th_dso_b.so th_cxx th_cxx_O0) $(TH_BUILDS:%=$(TH)/th_types-%)

$(TH)/th_dso: TH_LIBS := -ldl
$(TH)/th_dso_%.so: tests/targets/th_dso_part.c $(TH_DEPS)
	@mkdir -p $(@D)
	$(CC) -O2 $(TH_CFLAGS) -fPIC -shared -fvisibility=hidden -DPART=part_$* -o $@ $<

$(TH)/th_cxx: tests/targets/th_cxx.cc $(TH_DEPS)
	@mkdir -p $(@D)
	$(CXX) -O2 -g -std=gnu++17 -Wall -Wextra -pthread -Iinclude -o $@ $<
$(TH)/th_cxx_O0: tests/targets/th_cxx.cc $(TH_DEPS)
	@mkdir -p $(@D)
	$(CXX) -O0 -g -std=c++17 -Wall -Wextra -pthread -Iinclude -o $@ $<

th_build_O0 := -O0
th_build_O1 := -O1
th_build_O3 := -O3
th_build_Os := -Os
th_build_static := -O2 -static
th_build_PIE := -O2 -fPIE -pie
th_build_noPIE := -O2 -fno-pie -no-pie
th_build_hidden := -O2 -fvisibility=hidden
th_build_LTO := -O2 -flto
th_build_gc := -O2 -ffunction-sections -fdata-sections -Wl,--gc-sections
th_build_c11 := -O2 -std=c11 -D_GNU_SOURCE
th_build_clang := -O2
th_build_clang_O0 := -O0
th_build_asan := -O1 -fsanitize=address,undefined

$(TH)/th_types-%: tests/targets/th_types.c $(TH_DEPS)
	@mkdir -p $(@D)
	$(if $(findstring clang,$*),$(CLANG),$(CC)) $(TH_CFLAGS) $(th_build_$*) -o $@ $<
endif

targets: $(TH_TARGETS)
