#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# What a user does with `record`, on plain probes: ends, targets, children, namespaces, several recorders.
. "$(dirname "$0")/lib.sh"

assert_sum()
{
	assert_eq "emitted = stored + lost" "$(total emitted)" $(($(total stored) + $(total lost)))
}

ends_with()
{
	need_root
	start_target usdt_flat 1 0
	for sig in INT TERM HUP; do
		start_record -p "$TARGET" --force
		sleep 0.3
		kill -$sig "$RECORDER"
		wait_record
		assert_sum
		assert_verified
	done
	start_record -p "$TARGET" --force --duration 300ms
	wait_record
	assert_sum
	start_record -p "$TARGET" --force
	kill -TERM "$TARGET"
	wait_target
	wait_record
	assert_sum
	assert_eq "the target's status" 0 "$TARGET_STATUS"
}

binary_present_and_future()
{
	need_root
	start_target usdt_flat 1 0
	start_record -b "$TARGETS/usdt_flat"
	"$TARGETS/usdt_flat" 1 1234 >second || fail "second"
	"$TARGETS/usdt_flat" 2 50 >third || fail "third"
	kill -TERM "$TARGET"
	wait_target
	sleep 0.2
	stop_record
	want=$(($(cut -d' ' -f1 target.out) + 1234 + 100))
	assert_ge "records of processes that started later" 1334 "$(total emitted)"
	assert_ge "not more than were made" "$(total emitted)" "$want"
	assert_sum
	dump
	assert_eq "processes" 3 "$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' t.json | sort -u | wc -l)"
	assert_verified
}

several_pids()
{
	need_root
	start_target usdt_flat 1 0
	first=$TARGET
	start_target usdt_flat 1 0
	start_record -p "$first" -p "$TARGET"
	sleep 0.2
	kill -TERM "$first" "$TARGET"
	wait_record
	dump
	assert_eq "processes" 2 "$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' t.json | sort -u | wc -l)"
	assert_sum
}

others_are_left_out()
{
	need_root
	start_target usdt_flat 1 0
	start_record -p "$TARGET"
	"$TARGETS/usdt_flat" 1 5000 >other
	kill -TERM "$TARGET"
	wait_target
	wait_record
	dump
	assert_eq "processes" 1 "$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' t.json | sort -u | wc -l)"
}

children()
{
	need_root
	run_record -b "$TARGETS/usdt_flat" -- /bin/sh -c "'$TARGETS/usdt_flat' 1 100; '$TARGETS/usdt_flat' 2 50 & wait" || fail "status $?"
	assert_eq "records of children" 200 "$(total emitted)"
	assert_eq "stored" 200 "$(total stored)"
	assert_verified
}

# A binary that nobody named before is attached when it is mapped: late by some milliseconds, then complete.
unknown_binary()
{
	need_root
	run_record -- /bin/sh -c "'$TARGETS/usdt_flat' 1 0 & sleep 1; kill -TERM \$!; wait" || fail "status $?"
	assert_ge "records" 1000 "$(total emitted)"
	assert_sum
	assert_verified
}

# More is mapped on the machine than the kernel has room to tell of: the targets' own maps are looked at instead.
lost_mappings()
{
	need_root
	"$TAPEBPF" -o "$WORK/t.tape" -- /bin/sh -c "sleep 1; exec '$TARGETS/usdt_flat' 1 0" >target.out 2>record.err &
	RECORDER=$!
	STARTED="$STARTED $RECORDER"
	wait_until 30 recording || fail "the recorder did not start"
	kill -STOP "$RECORDER"
	i=0
	while [ $i -lt 1500 ]; do
		/bin/true
		i=$((i + 1))
	done
	wait_until 10 pgrep -f "^$TARGETS/usdt_flat 1 0" >/dev/null || fail "no target"
	kill -CONT "$RECORDER"
	sleep 1
	pkill -TERM -f "^$TARGETS/usdt_flat 1 0"
	wait_record
	assert_ge "records" 1000 "$(total emitted)"
	assert_sum
}

no_follow()
{
	need_root
	mkfifo hold
	sh -c "read -r x; '$TARGETS/usdt_flat' 1 100; exec '$TARGETS/usdt_flat' 1 7" <hold >target.out &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	exec 9>hold
	# a shell has no probes of its own: the binary is attached beside it
	start_record -b "$TARGETS/usdt_pairs" --no-follow
	echo >&9
	exec 9>&-
	wait_target
	stop_record
	assert_eq "records" 0 "$(total emitted)"
}

split()
{
	need_root
	run_record --split -b "$TARGETS/usdt_flat" -- /bin/sh -c "'$TARGETS/usdt_flat' 1 100; '$TARGETS/usdt_flat' 2 50" || fail "status $?"
	sum=0
	for t in t-*.tape; do
		"$TAPEBPF" verify "$t" >verify.out || fail "$t: $(cat verify.out)"
		n=$("$TAPEBPF" dump --json "$t" | grep -c '"type":"event"')
		sum=$((sum + n))
	done
	assert_eq "events of all tapes" 200 $sum
}

command_that_fails()
{
	need_root
	run_record -b "$TARGETS/usdt_flat" -- /bin/sh -c "'$TARGETS/usdt_flat' 1 10; exit 3" || fail "the recorder's own status is 0: $?"
	assert_eq "records" 10 "$(total emitted)"
	echo 'not a program' >script
	chmod 644 script
	"$TAPEBPF" -o s.tape -- ./script 2>err && fail "not executable"
	printf '#!/bin/sh\nexec "%s" 1 11\n' "$TARGETS/usdt_flat" >script
	chmod 755 script
	run_record --force -b "$TARGETS/usdt_flat" -- ./script || fail "a script: $?"
	assert_eq "records of a script's program" 11 "$(total emitted)"
}

# What the process is called is asked at the attach: its records are looked at a moment later, when it may be gone.
short_lived_target()
{
	need_root
	need_target usdt_args
	mkfifo hold
	"$TARGETS/usdt_args" 3 hold <hold >target.out &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	exec 9>hold
	wait_until 10 execed "$TARGET" || fail "no target"
	start_record -p "$TARGET"
	echo >&9
	exec 9>&-
	wait_target
	wait_record
	assert_eq "its names" 1 "$(count '"type":"process"' '"comm":"usdt_args"' '"exe":"/[^"]*/usdt_args"' '"cmdline":"[^"]* 3 hold')"
	assert_eq "its thread's name" 1 "$(count '"type":"thread"' '"thread_name":"usdt_args"')"
	assert_lossless
	assert_verified
}

json()
{
	need_root
	run_record --json -- "$TARGETS/usdt_flat" 1 10 || fail "status $?"
	assert_match "summary" '"type":"summary".*"emitted":10,"stored":10,"lost":0' record.out
}

quiet()
{
	need_root
	run_record -q -- "$TARGETS/usdt_flat" 1 10 || fail "status $?"
	[ ! -s record.err ] || fail "said something"
}

two_recorders()
{
	need_root
	mkfifo hold
	(read -r x <hold; exec "$TARGETS/usdt_flat" 2 20000) >target.out &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	"$TAPEBPF" -b "$TARGETS/usdt_flat" -o a.tape 2>a.err &
	first=$!
	"$TAPEBPF" -b "$TARGETS/usdt_flat" -o b.tape 2>b.err &
	second=$!
	STARTED="$STARTED $first $second"
	wait_until 20 grep -q recording a.err || fail "first"
	wait_until 20 grep -q recording b.err || fail "second"
	echo >hold
	wait_target
	sleep 0.2
	kill -INT $first $second
	wait $first || fail "first: status $?"
	wait $second || fail "second: status $?"
	for r in a b; do
		assert_match "recorder $r" 'emitted 40000 = stored 40000 [+] lost 0' $r.err
	done
}

namespaces()
{
	need_root
	need unshare
	# A mount that is private before: in a chroot there is no / that unshare could make so.
	mkdir inside
	mount --bind inside inside && mount --make-private inside || skip "cannot mount here"
	trap 'stop_all; umount -l inside' EXIT
	unshare --propagation unchanged --pid --mount --fork sh -c "mount -t tmpfs none inside && cp '$TARGETS/usdt_flat' inside/prog &&
		exec inside/prog 1 0" >target.out 2>target.err &
	STARTED="$STARTED $!"
	wait_until 10 sh -c "pgrep -f 'inside/prog 1 0' >/dev/null" || fail "no target: $(cat target.err)"
	TARGET=$(pgrep -f '^inside/prog 1 0')
	STARTED="$STARTED $TARGET"
	start_record -p "$TARGET"
	sleep 0.3
	kill -TERM "$TARGET"
	wait_record
	assert_ge "records" 100 "$(total emitted)"
	assert_sum
}

run_test ends_with
run_test binary_present_and_future
run_test several_pids
run_test others_are_left_out
run_test children
run_test unknown_binary
run_test lost_mappings
run_test no_follow
run_test split
run_test command_that_fails
run_test short_lived_target
run_test json
run_test quiet
run_test two_recorders
run_test namespaces
