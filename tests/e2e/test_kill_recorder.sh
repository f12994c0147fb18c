#!/bin/sh
# SPDX-License-Identifier: MIT
#
# SIGKILL of the recorder under load, at random times: the tape that it leaves loads, misses at most the last second, and the target
# goes on as if nothing had been.
. "$(dirname "$0")/batch_lib.sh"

ROUNDS=100
[ -z "${TEST_QUICK:-}" ] || ROUNDS=10

# Nanoseconds of CLOCK_MONOTONIC are not to be had in sh: the wall clock is in each record too.
wall_ns()
{
	date +%s%N
}

# Not finished is what it must be, torn it must not: what verify says of a tape whose recorder was killed.
assert_loads()
{
	"$TAPEBPF" verify "$1" >verify.out 2>&1
	status=$?
	[ $status = 0 ] || grep -qiE 'unfinished|not finished|no end' verify.out || {
		cat verify.out
		fail "verify $1: status $status"
	}
	! grep -qiE 'torn|truncated record|bad chapter' verify.out || fail "$1: $(cat verify.out)"
}

# The upstream parser, if the conformance test has been built.
assert_upstream_loads()
{
	[ -x "$B/conformance/target/release/tape-referee" ] || return 0
	"$B/conformance/target/release/tape-referee" "$1" >upstream.out 2>&1 || fail "upstream reader: $(tail -n 3 upstream.out)"
}

# What is missing is the last second at most; a second more is allowed for a machine that has other work to do.
assert_recent()
{
	last=$("$TAPEBPF" dump --json "$1" 2>/dev/null | sed -n 's/.*"type":"span_open".*"time_ns":\([0-9]*\).*/\1/p' | tail -n 1)
	[ -n "$last" ] || fail "$1 is empty, $2 ns after the start of the recording"
	assert_ge "the last record's time" $(($3 - 2000000000)) "$last"
}

killed_under_load()
{
	need_root
	start_target th_flat 2 0 truth 200000
	seed=$(date +%s)
	i=0
	while [ $i -lt $ROUNDS ]; do
		rm -f t.tape
		start_record -p "$TARGET"
		started=$(wall_ns)
		sleep "0.$(awk -v s=$((seed + i)) 'BEGIN { srand(s); printf "%03d", rand() * 700 }')"
		[ $((i % 10)) != 0 ] || sleep 1.5
		kill -9 "$RECORDER"
		at=$(wall_ns)
		wait "$RECORDER" 2>/dev/null
		# a tape gets its name once there is something in it
		if [ -e t.tape ]; then
			assert_loads t.tape
			assert_upstream_loads t.tape
		fi
		[ $((at - started)) -lt 1500000000 ] || assert_recent t.tape $((at - started)) "$at"
		kill -0 "$TARGET" || fail "the target has died"
		i=$((i + 1))
	done
	kill -TERM "$TARGET"
	wait_target
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	"$TARGETS/truth_check" truth >check.out
	assert_eq "the target's own count" $(($(truth numbered_committed) - 2)) "$(cut -d' ' -f1 target.out)"
}

run_test killed_under_load
