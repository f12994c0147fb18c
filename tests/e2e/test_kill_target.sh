#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# SIGKILL of a target that traces flat out on four threads, at random times, again and again under one recorder: of each thread
# at most the one record in flight is in doubt, everything before it is on the tape, once.
. "$(dirname "$0")/batch_lib.sh"

ROUNDS=200
[ -z "${TEST_QUICK:-}" ] || ROUNDS=20

# A number below $1.
random()
{
	awk -v n="$1" -v seed="$2" 'BEGIN { srand(seed); print int(rand() * n) }'
}

# One round: the target, then its death after some milliseconds. exec: $! is the target itself.
one_kill()
{
	(exec "$TARGETS/th_flat" 4 0 truth "$2" >/dev/null 2>&1) &
	victim=$!
	STARTED="$victim"
	sleep "0.0$(printf %02d "$1")"
	kill -9 $victim
	wait $victim 2>/dev/null
	status=$?
	[ $status = 137 ] || fail "the target ended with status $status before it was killed"
}

# kills ROUNDS SPIN
kills()
{
	seed=$(date +%s)
	echo "seed $seed"
	i=0
	while [ $i -lt "$1" ]; do
		one_kill "$((5 + $(random 25 $((seed + i)))))" "$2"
		i=$((i + 1))
	done
}

# Slow enough for every single record to be looked up.
each_record()
{
	need_root
	start_record -b "$TARGETS/th_flat" --ring-size 32M
	recorder=$RECORDER
	kills "$ROUNDS" 20000
	STARTED=$recorder
	stop_record
	assert_complete
	assert_ge "spans" "$ROUNDS" "$(truth found)"
}

# As fast as it goes: whether all arrives or rings overflow, the sum is exact.
flat_out()
{
	need_root
	start_record -b "$TARGETS/th_flat" --ring-size 32M
	recorder=$RECORDER
	kills $((ROUNDS / 10)) 0
	STARTED=$recorder
	stop_record
	assert_exact
	"$TARGETS/truth_check" truth >check.out
	assert_ge "records emitted, of those committed" "$(truth committed)" "$(total emitted)"
	assert_ge "records intended, of those emitted" "$(total emitted)" "$(truth intended)"
	assert_verified
}

run_test each_record
run_test flat_out
