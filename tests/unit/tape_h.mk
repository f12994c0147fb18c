# SPDX-License-Identifier: MIT
# Unit tests of include/tape.h: programs that trace themselves (tests/unit/tape_h/tape_story.h). NAME_part.c and NAME_cxx.cc, where they
# exist, are further translation units of test_NAME's module.
TAPE_H := $(B)/tests/unit/tape_h
TAPE_H_LIBS := $(B)/lib/elf.a $(B)/lib/base.a

$(TAPE_H)/%.o: tests/unit/tape_h/%.cc include/tape.h
	@mkdir -p $(@D)
	$(CXX) $(filter -O% -g% -f%,$(CFLAGS)) -std=c++17 -Wall -Wextra -Iinclude -c -o $@ $<

$(TAPE_H)/%.o: tests/unit/tape_h/%.c tests/unit/tape_h/tape_story.h include/tape.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -DTAPE_H_CC='"$(CC)"' -DTAPE_H_CXX='"$(CXX)"' -DTAPE_H_CLANG='"$(CLANG)"' \
		-DTAPE_H_TOP='"$(CURDIR)"' -c -o $@ $<

tape_h_parts = $(patsubst %.cc,%.o,$(patsubst %.c,%.o,$(addprefix $(B)/,$(wildcard tests/unit/tape_h/$(1)_part.c tests/unit/tape_h/$(1)_cxx.cc))))

.SECONDEXPANSION:
$(TAPE_H)/test_%: $(TAPE_H)/test_%.o $$(call tape_h_parts,$$*) $(TAPE_H_LIBS)
	$(CXX) $(filter -f%,$(CFLAGS)) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS) -lpthread
