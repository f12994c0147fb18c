#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Rotation of `record`: each tape stands alone, and together they hold each record once.
. "$(dirname "$0")/batch_lib.sh"

# start_rotating ARGS...: as start_record, for a recording that names its tapes itself.
start_rotating()
{
	: >record.err
	"$TAPEBPF" record -o r.tape "$@" >record.out 2>record.err </dev/null &
	RECORDER=$!
	STARTED="$STARTED $RECORDER"
	wait_until 30 recording || fail "the recorder did not start recording"
}

tapes()
{
	ls r_*.tape 2>/dev/null
}

# Together: every record of the target once; alone: clean, finished, its totals those that were told when it was finished.
assert_each()
{
	: >all.json
	sum=0
	for t in $(tapes); do
		"$TAPEBPF" verify "$t" >verify.out || fail "$t: $(tail -n 3 verify.out)"
		"$TAPEBPF" dump --json "$t" >one.json || fail "dump of $t"
		cat one.json >>all.json
		emitted=$(sed -n 's/.*"type":"totals".*"complete":true.*"emitted":\([0-9]*\).*/\1/p' one.json)
		[ -n "$emitted" ] || fail "$t has no totals"
		assert_match "the totals of $t as told" "^tape: $t: emitted $emitted = stored" record.err
		sum=$((sum + emitted))
	done
	assert_eq "the sum of the tapes" "$(sed -n 's/^emitted \([0-9]*\) = .*/\1/p' record.err)" $sum
}

in_all()
{
	grep "$1" all.json | grep -vc "${2:-nothing-is-left-out}"
}

# Two CPUs kept busy, turns all the time: exact.
flat_out_by_time()
{
	need_root
	start_rotating -b "$TARGETS/th_flat" --rotate-time 100ms --ring-size 64M
	start_target th_flat 3 400000 truth 5000
	wait_target
	stop_record
	assert_eq "the target's result" "1200000 1679995800000" "$(cat target.out)"
	assert_ge "tapes" 3 "$(tapes | wc -l)"
	assert_each
	assert_match "nothing lost" '^emitted [0-9]* = stored [0-9]* \+ lost 0$' record.err
	assert_eq "spans opened" 1200003 "$(in_all '"type":"span_open"' '"before":true')"
	assert_eq "spans closed by the program" 1200003 "$(in_all '"type":"span_close"' '"synthetic":"cut"')"
	assert_eq "entries" 1200003 "$(($(in_all '"type":"span_enter"') - $(in_all '"type":"span_open".*"before":true')))"
	grep -v '"before":true' all.json >t.json
	"$TARGETS/truth_check" truth t.json >check.out
	assert_eq "records twice" 0 "$(truth twice)"
	assert_eq "records never made" 0 "$(truth beyond)"
	# the outer spans are carried from tape to tape, with what they were opened with
	assert_ge "carried spans" 3 "$(grep '"before":true' all.json | grep -c '"name":"worker".*"slot":')"
}

# Two CPUs kept busy, many tapes a round: each is as large as asked for, to the record and what ends it, and together they are exact.
flat_out_by_size()
{
	need_root
	start_rotating -b "$TARGETS/th_flat" --rotate-size 1M --ring-size 64M
	start_target th_flat 2 200000 truth
	wait_target
	stop_record
	assert_each
	assert_match "nothing lost" '^emitted [0-9]* = stored [0-9]* \+ lost 0$' record.err
	assert_ge "tapes" 30 "$(tapes | wc -l)"
	for t in $(tapes | sed '$d'); do
		bytes=$(wc -c <"$t")
		[ "$bytes" -ge 1048576 ] && [ "$bytes" -le $((1048576 + 4096)) ] || fail "$t has $bytes bytes"
	done
	assert_eq "spans opened" 400002 "$(in_all '"type":"span_open"' '"before":true')"
	assert_eq "spans closed by the program" 400002 "$(in_all '"type":"span_close"' '"synthetic":"cut"')"
	assert_eq "entries" 400002 "$(($(in_all '"type":"span_enter"') - $(in_all '"type":"span_open".*"before":true')))"
	"$TAPEBPF" stats --json $(tapes) >stats.json || fail "stats of all"
	assert_match "the steps, as one recording" '"name":"step".*"count":400000' stats.json
	assert_match "the outer spans" '"name":"worker".*"count":2,' stats.json
}

by_size_the_oldest_deleted()
{
	need_root
	start_rotating -b "$TARGETS/th_flat" --rotate-size 1M --keep-files 3
	start_target th_flat 1 0 truth 20000
	wait_until 60 many_told 6 || fail "no turns"
	kill -TERM "$TARGET"
	wait_target
	stop_record
	assert_eq "tapes" 3 "$(tapes | wc -l)"
	assert_eq "the newest" "$(tapes | tail -n 1)" "$(readlink r.latest)"
	sed -n 's/^tape: \(.*\): emitted.*/\1/p' record.err >told
	assert_eq "in the order of their names" "$(sort told)" "$(cat told)"
	for t in $(tapes); do
		"$TAPEBPF" verify "$t" >verify.out || fail "$t: $(tail -n 3 verify.out)"
	done
	# all but the last turned when they were large enough
	for t in $(tapes | head -n 2); do
		assert_ge "size of $t" 1048576 "$(wc -c <"$t")"
	done
	assert_eq "the sum of all tapes" "$(sed -n 's/^emitted \([0-9]*\) = .*/\1/p' record.err)" \
		"$(sed -n 's/^tape: .* emitted \([0-9]*\) = .*/\1/p' record.err | awk '{ n += $1 } END { print n }')"
}

as_json_lines()
{
	need_root
	"$TAPEBPF" record -o r.tape --rotate-time 100ms --json -- "$TARGETS/th_flat" 1 200000 truth 200 >record.out 2>record.err ||
		fail "exit status $?"
	assert_ge "tapes" 2 "$(grep -c '"type":"tape"' record.out)"
	assert_eq "the sum of all tapes" "$(sed -n 's/.*"type":"summary".*"emitted":\([0-9]*\).*/\1/p' record.out)" \
		"$(sed -n 's/.*"type":"tape".*"emitted":\([0-9]*\).*/\1/p' record.out | awk '{ n += $1 } END { print n }')"
	assert_eq "the list of the summary" "$(tapes | wc -l)" \
		"$(sed -n 's/.*"type":"summary".*"tapes":\[\([^]]*\)\].*/\1/p' record.out | tr ',' '\n' | grep -c .)"
}

kept_to_a_sum()
{
	need_root
	start_rotating -b "$TARGETS/th_flat" --rotate-size 256k --keep-total 2M
	start_target th_flat 1 0 truth 20000
	wait_until 60 many_told 12 || fail "no turns"
	kill -TERM "$TARGET"
	wait_target
	stop_record
	bytes=$(cat r_*.tape | wc -c)
	[ "$bytes" -le $((2 * 1048576)) ] || fail "kept $bytes bytes"
	assert_ge "some were deleted" $(($(tapes | wc -l) + 1)) "$(grep -c '^tape: ' record.err)"
}

many_told()
{
	[ "$(grep -c '^tape: ' record.err)" -ge "$1" ]
}

split_as_well()
{
	need_root
	start_rotating -b "$TARGETS/th_flat" --rotate-time 200ms --split
	# its output apart: the other one's is written over from the same place
	"$TARGETS/th_flat" 1 0 truth 20000 >first.out </dev/null &
	first=$!
	STARTED="$STARTED $first"
	start_target th_flat 1 0 truth2 20000
	sleep 1
	kill -TERM "$first" "$TARGET"
	wait "$first"
	wait_target
	stop_record
	for p in "$first" "$TARGET"; do
		assert_ge "tapes of $p" 2 "$(ls r_*-"$p".tape | wc -l)"
	done
	: >all.json
	for t in $(tapes); do
		"$TAPEBPF" verify "$t" >verify.out || fail "$t: $(tail -n 3 verify.out)"
		"$TAPEBPF" dump --json "$t" >>all.json
	done
	made=$(($(cut -d ' ' -f 1 first.out) + $(cut -d ' ' -f 1 target.out) + 2))
	assert_ge "spans of both" "$made" "$(in_all '"type":"span_open"' '"before":true')"
	assert_eq "opened and closed" "$(in_all '"type":"span_open"' '"before":true')" \
		"$(in_all '"type":"span_close"' '"synthetic":"cut"')"
	assert_eq "spans" "$(sed -n 's/^emitted \([0-9]*\) = .*/\1/p' record.err)" \
		$((2 * $(in_all '"type":"span_open"' '"before":true')))
	# read together each process is one recording again
	"$TAPEBPF" dump --json $(tapes) >together.json || fail "dump of all"
	assert_eq "spans, together" "$made" "$(grep -c '"type":"span_open"' together.json)"
	assert_eq "told again" 0 "$(grep -c '"before":true' together.json)"
	assert_eq "cut" 0 "$(grep '"type":"span_close"' together.json | grep -c '"synthetic":"cut"')"
}

# What cannot be done is refused before anything is recorded, and nothing is left behind.
wrong_use()
{
	refused "--keep-files and --keep-total want" --keep-files 3 -- true
	refused "at least 100ms" --rotate-time 5ms -- true
	refused "want a size from" --rotate-size 5 -- true
	refused "from 1 to" --rotate-size 1M --keep-files 0 -- true
	need_root
	echo mine >r.latest
	"$TAPEBPF" record -o r.tape --rotate-size 1M -- true 2>err && fail "a file of the user's was no obstacle"
	assert_match "what is in the way" 'r.latest is in the way' err
	assert_eq "the file" mine "$(cat r.latest)"
	assert_eq "tapes" "" "$(tapes)"
}

refused()
{
	what=$1
	shift
	"$TAPEBPF" record -o r.tape "$@" 2>err
	assert_eq "exit status of $*" 2 $?
	assert_match "the message" "$what" err
}

# A full disk: the recording goes on, and says so.
no_new_tape_can_be_made()
{
	need_root
	mkdir d
	"$TAPEBPF" record -o d/r.tape -b "$TARGETS/th_flat" --rotate-time 200ms >record.out 2>record.err </dev/null &
	RECORDER=$!
	STARTED="$STARTED $RECORDER"
	wait_until 30 recording || fail "the recorder did not start recording"
	start_target th_flat 1 0 truth 20000
	wait_until 30 grep -q '^tape: ' record.err || fail "no turn"
	mv d gone
	wait_until 30 grep -q 'cannot begin a new tape, going on with the old one: .*No such file' record.err || fail "said nothing"
	mv gone d
	kill -TERM "$TARGET"
	wait_target
	stop_record
	assert_match "exact all the same" '^emitted [0-9]* = stored [0-9]* \+ lost [0-9]*$' record.err
	for t in d/r_*.tape; do
		"$TAPEBPF" verify "$t" >verify.out || fail "$t: $(tail -n 3 verify.out)"
	done
}

run_test flat_out_by_time
run_test flat_out_by_size
run_test by_size_the_oldest_deleted
run_test as_json_lines
run_test kept_to_a_sum
run_test split_as_well
run_test wrong_use
run_test no_new_tape_can_be_made
