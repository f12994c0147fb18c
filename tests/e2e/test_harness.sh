#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# The harness itself: a failing assertion must fail, a skip must skip, and nothing started may survive its test.
. "$(dirname "$0")/lib.sh"

# result FUNCTION: the line that run_test makes of it, without touching this file's own results.
result()
{
	(E2E_OUT=$WORK/inner && run_test "$1" && trap - EXIT) | head -n 1 | sed 's/^\([a-z ]*\) - .*/\1/'
}

passes() { assert_eq "a number" 1 1; }
fails() { assert_eq "a number" 1 2; }
fails_to_match() { echo x >"$WORK/f" && assert_match "a line" y "$WORK/f"; }
skips() { skip "because"; }
starts_a_child()
{
	start_target /bin/sleep 1000
	echo "$TARGET" >"$E2E_OUT/../pid"
}

verdicts()
{
	assert_eq "a true assertion" ok "$(result passes)"
	assert_eq "a false assertion" "not ok" "$(result fails)"
	assert_eq "a missing line" "not ok" "$(result fails_to_match)"
	assert_eq "a skip" skip "$(result skips)"
}

children_end_with_their_test()
{
	result starts_a_child >/dev/null
	pid=$(cat "$WORK/pid")
	assert_ge "pid" 2 "$pid"
	kill -0 "$pid" 2>/dev/null && fail "the child $pid is still there"
	return 0
}

counting()
{
	printf '{"a":1,"b":2}\n{"a":1,"b":3}\n{"a":2}\n' >"$WORK/t.json"
	assert_eq "one pattern" 2 "$(count '"a":1')"
	assert_eq "two patterns" 1 "$(count '"a":1' '"b":3')"
	assert_eq "none" 0 "$(count '"c"')"
}

run_test verdicts
run_test children_end_with_their_test
run_test counting
