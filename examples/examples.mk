# SPDX-License-Identifier: MIT
# The examples, as their own comments say they are built.

$(B)/examples/%: examples/%.c include/tape.h
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -Iinclude -o $@ $< -pthread

$(B)/examples/%: examples/%.cc include/tape.h
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O2 -g -Wall -Wextra -Iinclude -o $@ $< -pthread

examples: $(addprefix $(B)/examples/,shop shop_cpp sdt)
.PHONY: examples
