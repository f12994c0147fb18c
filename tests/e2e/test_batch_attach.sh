#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Recorders that come and go while the target runs flat out: each gets every record from its attach to its detach, and the
# target never notices.
. "$(dirname "$0")/batch_lib.sh"

start_flat()
{
	need_root
	start_target th_flat "$1" 0 truth "${2:-5000}"
}

snapshot()
{
	"$TARGETS/truth_check" truth >"$1"
}

# Records are there from what had been begun when `recording` was said ($1) to what was done at Ctrl-C ($2).
assert_window()
{
	"$TARGETS/truth_check" -w truth "$3" >check.out || {
		tail -n 6 check.out
		fail "there are gaps, or records twice"
	}
	awk 'FILENAME == ARGV[1] { if (/^slot /) begun[$2] = $8; next }
		FILENAME == ARGV[2] { if (/^slot /) done[$2] = $10; next }
		/^slot / && $2 in begun {
			if ($14 > begun[$2] + 1) { print "late: " $0; bad = 1 }
			if ($16 < done[$2]) { print "early end, " done[$2] ": " $0; bad = 1 }
		}
		END { exit bad }' "$1" "$2" check.out || fail "the window is not complete"
}

late_attach_twice()
{
	start_flat 2
	for round in 1 2; do
		start_record --force -p "$TARGET" --ring-size 32M
		snapshot begun
		sleep 0.4
		snapshot done
		stop_record
		assert_lossless
		rm -f t.json
		dump
		assert_window begun done t.json
		assert_verified
		sleep 0.2
	done
	assert_flat_end
}

assert_flat_end()
{
	kill -TERM "$TARGET"
	wait_target
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	snapshot check.out
	steps=$(($(truth numbered_committed) - 2))
	assert_eq "the target's own count" "$steps" "$(cut -d' ' -f1 target.out)"
	assert_eq "in doubt" "$(truth committed)" "$(truth intended)"
}

two_recorders()
{
	start_flat 2
	"$TAPEBPF" -p "$TARGET" -o a.tape --ring-size 32M 2>a.err &
	first=$!
	STARTED="$STARTED $first"
	wait_until 20 grep -q recording a.err || fail "first"
	start_record -p "$TARGET" --ring-size 32M
	snapshot begun
	sleep 0.4
	snapshot done
	kill -INT $first
	wait $first || fail "the first recorder: status $?"
	stop_record
	assert_lossless
	assert_match "the first" 'lost 0' a.err
	dump
	assert_window begun done t.json
	"$TAPEBPF" dump --json a.tape >t.json
	assert_window begun done t.json
	assert_verified
	assert_verified a.tape
	assert_flat_end
}

# A recorder that comes while another records finds the spans that are open, with their fields and their true time.
joined_later()
{
	need_root
	"$TAPEBPF" -b "$TARGETS/th_flat" -o a.tape --ring-size 32M 2>a.err &
	first=$!
	STARTED="$STARTED $first"
	wait_until 20 grep -q recording a.err || fail "first"
	start_flat 2
	sleep 0.3
	start_record -p "$TARGET" --ring-size 32M
	snapshot begun
	sleep 0.3
	snapshot done
	stop_record
	assert_lossless
	dump
	assert_eq "spans that were open before" 2 "$(count '"type":"span_open"' '"name":"worker"' '"seq":1[,}]')"
	assert_eq "spans below nothing" 2 "$(count '"type":"span_open"' '"parent":null')"
	grep -v '"name":"worker"' t.json >steps.json
	assert_window begun done steps.json
	assert_flat_end
	kill -INT $first
	wait $first || fail "the first recorder: status $?"
	rm t.json
	"$TAPEBPF" dump --json a.tape >t.json
	check_truth
	assert_match "the first" "emitted $(truth committed) = stored $(truth committed) [+] lost 0" a.err
	assert_verified a.tape
}

armed()
{
	"$TAPEBPF" list "$TARGET" >list.out 2>list.err || fail "list: $(cat list.err)"
	grep -cE ' armed ' list.out
}

disarmed()
{
	[ "$(armed)" = 0 ]
}

# kill -9 of the recorder: the words fall, the target runs on, and the next recorder works.
recorder_killed()
{
	start_flat 2
	start_record -p "$TARGET"
	assert_ge "armed callsites" 1 "$(armed)"
	kill -9 "$RECORDER"
	wait "$RECORDER" 2>/dev/null
	wait_until 10 disarmed || fail "still armed: $(cat list.out)"
	snapshot then
	sleep 0.1
	snapshot now
	! cmp -s then now || fail "the target stands still"
	start_record --force -p "$TARGET" --ring-size 32M
	snapshot begun
	sleep 0.3
	snapshot done
	stop_record
	wait_until 10 disarmed || fail "still armed: $(cat list.out)"
	assert_lossless
	dump
	assert_window begun done t.json
	assert_verified
	assert_flat_end
}

# The target is killed just as it is attached to.
target_dies_at_attach()
{
	need_root
	for i in 1 2 3 4; do
		rm -f truth t.json
		start_flat 2
		"$TAPEBPF" -p "$TARGET" -o "$i.tape" 2>err &
		rec=$!
		sleep 0.0$((i * 2))
		kill -9 "$TARGET"
		wait_target
		status=0
		wait $rec || status=$?
		[ $status -le 1 ] || fail "status $status: $(cat err)"
		[ ! -e "$i.tape" ] || assert_verified "$i.tape"
	done
}

run_test late_attach_twice
run_test two_recorders
run_test joined_later
run_test recorder_killed
run_test target_dies_at_attach
