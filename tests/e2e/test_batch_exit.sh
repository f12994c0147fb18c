#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Threads and processes that end with partly filled pages, by every road: all that they had recorded is on the tape.
. "$(dirname "$0")/batch_lib.sh"

# die WAY STATUS [OUTPUT]: three threads with a thousand records each.
die()
{
	need_root
	traced th_exit "$1" truth 1000 2
	assert_eq "the target's status" "$2" "$TARGET_STATUS"
	assert_eq "the target's output" "${3:-1000 done}" "$(tr '\n' ' ' <target.out | sed 's/ $//')"
	assert_all
}

by_return() { die return 4; }
by_exit() { die exit 5; }
by_exit_elsewhere() { die exit_thread 5; }
by__exit() { die _exit 6; }
by_abort() { ulimit -c 0; die abort 134; }
by_segv() { ulimit -c 0; die segv 139; }
by_kill() { die kill 137; }
by_term() { die term 143; }
by_exec() { die exec 4 "1000 done 1000 done"; }
by_exec_of_a_thread() { die exec_thread 4 "1000 done 1000 done"; }
by_exec_that_fails() { die exec_fail 4; }
by_pthread_exit() { die pthread_exit 0; }

# An exec that fails when the old memory is gone already: the kernel kills the process.
by_doomed_exec()
{
	ulimit -c 0
	need_root
	traced th_exit exec_doomed truth 1000 2
	assert_ge "killed by a signal" 129 "$TARGET_STATUS"
	assert_all
}

# The children of these exec another program that carries probes; and itself.
exec_of_another()
{
	need_root
	start_record -b "$TARGETS/th_exit" -b "$TARGETS/th_flat"
	sh -c "exec '$TARGETS/th_flat' 1 500 truth" >a.out
	sh -c "'$TARGETS/th_exit' return truth 100 1; exec '$TARGETS/th_flat' 2 500 truth" >b.out
	stop_record
	assert_eq "the first's result" "500 873250" "$(cat a.out)"
	assert_all
}

# A fatal signal from outside, at a moment when everything lies still: not one record is in doubt.
killed_from_outside()
{
	need_root
	start_record -b "$TARGETS/th_exit"
	for sig in KILL TERM ABRT; do
		ulimit -c 0
		start_target th_exit wait truth 777 3
		wait_until 20 grep -q done target.out || fail "the target did not get there"
		kill -$sig "$TARGET"
		wait_target
		assert_ge "killed" 129 "$TARGET_STATUS"
	done
	stop_record
	assert_all
}

# The other threads record on while exit takes the process down: the destructors run, then the threads are killed.
others_are_busy()
{
	need_root
	# some 90 MB in all: they fit into one CPU's ring, however late the recorder comes
	start_record -b "$TARGETS/th_exit" --ring-size 128M
	for i in $(seq 20); do
		start_target th_exit exit_busy truth 200 3
		wait_target
		assert_eq "the target's status" 5 "$TARGET_STATUS"
	done
	stop_record
	assert_complete
}

# With a span open on each thread, and some records after the last full page.
open_spans_are_marked()
{
	need_root
	traced th_exit kill truth 50 4
	assert_all
	assert_eq "open at the end" 4 "$(count '"type":"span_close"' '"name":"open"' '"synthetic":"(thread|process)_end')"
}

run_test by_return
run_test by_exit
run_test by_exit_elsewhere
run_test by__exit
run_test by_abort
run_test by_segv
run_test by_kill
run_test by_term
run_test by_exec
run_test by_exec_of_a_thread
run_test by_exec_that_fails
run_test by_doomed_exec
run_test by_pthread_exit
run_test exec_of_another
run_test killed_from_outside
run_test open_spans_are_marked
run_test others_are_busy
