#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Signal handlers that trace, under a timer of 20 us, on threads that trace: no record torn, none lost, each below the right span.
. "$(dirname "$0")/batch_lib.sh"

N=60000
[ -z "${TEST_QUICK:-}" ] || N=20000

# handled HOW COUNT
handled()
{
	need_root
	start_record -b "$TARGETS/th_signal" --ring-size 32M
	start_target th_signal "$1" truth "$2"
	wait_target
	stop_record
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	assert_eq "handlers" "$(cat target.out)" "$(count '"type":"event"' '"name":"in_handler"')"
}

under_a_timer()
{
	handled timer $N
	assert_all
	# A handler stands on the thread like a call: its event lies in its span, and no span of the thread was cut short.
	assert_eq "cut short" 0 "$(count 'abandoned')"
}

on_another_stack()
{
	handled altstack $N
	assert_all
	assert_eq "cut short" 0 "$(count 'abandoned')"
}

# The first record of a thread is interrupted as well.
short_threads()
{
	handled threads 800
	assert_all
}

# Handlers that leave by siglongjmp, in the middle of an append too: that record is there or not, and afterwards all goes on.
jumping_out()
{
	handled jump $N
	assert_torn_only
	assert_eq "the thread is right again" 1 "$(count '"type":"event"' '"name":"in_last"')"
}

# What was cut in the middle may leave an end without its begin; that is all that may be missing.
assert_torn_only()
{
	assert_exact
	check_truth
	assert_ge "torn records" 1 "$(truth torn)"
	assert_ge "records left out, of those torn" "$(total lost)" $(($(truth torn) / 100))
	assert_verified
}

jumping_off_another_stack()
{
	handled altjump $N
	assert_torn_only
}

run_test under_a_timer
run_test on_another_stack
run_test short_threads
run_test jumping_out
run_test jumping_off_another_stack
