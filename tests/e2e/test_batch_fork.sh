#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Children by fork, vfork and posix_spawn: none repeats its parent's pending records, none loses its own.
. "$(dirname "$0")/batch_lib.sh"

N=40
[ -z "${TEST_QUICK:-}" ] || N=10

# forks HOW CHILDREN: all ended as they should.
forks()
{
	need_root
	start_record --force -b "$TARGETS/th_fork" -b "$TARGETS/th_exit" --ring-size 32M
	start_target th_fork "$1" truth "$2" "$TARGETS/th_exit"
	wait_target
	stop_record
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	assert_eq "children" "$2" "$(tail -n 1 target.out)"
}

by_fork()
{
	forks fork $N
	assert_all
	# a child's spans do not hang below the span that its parent had open
	assert_eq "children's spans" $N "$(count '"type":"span_open"' '"name":"child"' '"parent":null')"
	assert_eq "the parent's" 1 "$(count '"type":"span_open"' '"name":"parent"')"
}

nested()
{
	forks nested $N
	assert_all
	assert_eq "grandchildren's spans" $N "$(count '"type":"span_open"' '"name":"grandchild"')"
}

fork_and_exec() { forks exec $N; assert_all; }
vforked() { forks vfork $N; assert_all; }
vfork_and_exec() { forks vfork_exec $N; assert_all; }
spawned() { forks spawn $N; assert_all; }

# The very first record of a process is made by its vfork child.
vfork_first()
{
	forks vfork_first 1
	assert_all
}

# Where children are not followed: what a vfork child leaves on its parent's page is the parent's, its full pages too.
vforked_not_followed()
{
	need_root
	run_record --no-follow -- "$TARGETS/th_fork" vfork truth $((10 * N)) "$TARGETS/th_exit" || fail "exit status $?"
	assert_all
}

# A handler forks while its thread is in the middle of an append; half of the children go on with it. Such a child may finish a
# record that its parent finishes too, under its own pid.
in_a_handler()
{
	forks handler $N
	assert_lossless
	check_truth
	assert_ge "records emitted, of those committed" "$(truth committed)" "$(total emitted)"
	assert_ge "at most a span more for each child" "$(total emitted)" $(($(truth intended) + 2 * $(truth foreign)))
	assert_ge "children that finished a parent's record" "$(truth foreign)" $N
	assert_verified
}

run_test by_fork
run_test nested
run_test fork_and_exec
run_test vforked
run_test vfork_and_exec
run_test spawned
run_test vfork_first
run_test vforked_not_followed
run_test in_a_handler
