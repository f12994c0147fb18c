# SPDX-License-Identifier: MIT
#
# batch_lib.sh - what tests of tape.h's batches share, on top of lib.sh. The targets (tests/targets/th_*.c) keep a ground truth in
# the file `truth`, which truth_check compares with the dump record by record.
. "$(dirname "$0")/lib.sh"

# truth WHAT: a number of truth_check's last line (in check.out).
truth()
{
	sed -n "s/^slots.* $1 \([0-9]*\).*/\1/p" check.out | tail -n 1
}

# check_truth [-w]: each record on the tape once, none that was never made.
check_truth()
{
	dump
	"$TARGETS/truth_check" ${1:-} truth t.json >check.out || {
		awk '/^slot / && ($18 != $20 || $22 + 0 > 0) { print } /^slots/' check.out | tail -n 10
		fail "the tape does not hold what was made"
	}
}

# All that was made is on the tape; of threads that were killed, and only of those, one record each is in doubt.
assert_complete()
{
	assert_lossless
	check_truth
	assert_ge "records emitted, of those committed" "$(truth committed)" "$(total emitted)"
	assert_ge "records intended, of those emitted" "$(total emitted)" "$(truth intended)"
	assert_verified
}

# And nobody was killed in the middle.
assert_all()
{
	assert_complete
	assert_eq "records" "$(truth committed)" "$(total emitted)"
	assert_eq "in doubt" "$(truth committed)" "$(truth intended)"
}

# traced NAME ARGS...: one target from its start to its end, its output in target.out, its status in TARGET_STATUS.
traced()
{
	start_record --force -b "$TARGETS/$1"
	start_target "$@"
	wait_target
	stop_record
}
