#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Who asks a flight recorder for snapshots, when, and how: it outlives all of them, and each gets what is his.
. "$(dirname "$0")/flight_lib.sh"

# A Go trace names its threads when the last generation is written.
go_of_many_threads()
{
	need_root
	start_flight -b "$TARGETS/th_threads" --no-final
	start_target th_threads 20000 truth
	wait_target
	snapshot a.trace || fail "status $?: $(cat a.trace.err)"
	assert_eq "lost" 0 "$(lost_of a.trace)"
	stop_flight
	assert_ge "named" 20000 "$(grep -ao 'worker-[0-9]*' a.trace | sort -u | wc -l)"
}

# SIGUSR2 while a client is being served, and the same request by another client: a file each.
signal_meanwhile()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 64M --ring-size 32M --no-final
	sleep 2
	snapshot a.tape &
	first=$!
	sleep 0.1
	kill -USR2 "$FLIGHT"
	snapshot b.tape || fail "the second one: $(cat b.tape.err)"
	wait $first || fail "the first one: $(cat a.tape.err)"
	wait_until 30 grep -q '^tapebpf: snapshot ' record.err || fail "nothing came of the signal"
	for i in a.tape b.tape "$(own 1)"; do
		assert_verified "$i"
	done
	assert_eq "the signal's" 1 "$(find out -name '*.tape' | wc -l)"
	kill -TERM "$TARGET"
	wait_target
	wait_record
}

# Whoever may connect is told why he gets nothing.
stranger()
{
	need_root
	command -v setpriv >/dev/null || skip "no setpriv here"
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	chmod 755 "$WORK"
	chmod 666 sock
	cp "$TAPEBPF" asker
	for i in 1 2 3 4 5; do
		setpriv --reuid 1234 --regid 1234 --clear-groups ./asker status --socket "$WORK/sock" 2>err
		assert_eq "status for a stranger" 1 $?
		assert_match "why" 'only root and the user who runs the recorder may ask' err
	done
	stop_flight
	kill -TERM "$TARGET"
}

# told WHAT REGEX REMEDY ARGS...: `status ARGS` fails, says that, and what to try. AS: who asks.
told()
{
	what=$1 regex=$2 remedy=$3
	shift 3
	${AS:-} ./asker status "$@" 2>err
	assert_eq "status: $what" 1 $?
	assert_match "$what" "$regex" err
	assert_match "a remedy: $what" "^  try: .*$remedy" err
}

# Where there is no recorder, or one of somebody else, it is said what is known, and how to find one.
nobody_there()
{
	need_root
	command -v setpriv >/dev/null || skip "no setpriv here"
	chmod 755 "$WORK"
	cp "$TAPEBPF" asker
	mkdir hidden
	chmod 700 hidden
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	mv sock one.sock
	cp -p "$TAPEBPF" file
	AS="setpriv --reuid 1234 --regid 1234 --clear-groups"
	told "a folder that cannot be looked into" 'no flight recorder that you may ask: the folder of .*/hidden/s' 'ps -C tapebpf' --socket "$WORK/hidden/s"
	told "root's" 'not allowed to ask .*/one.sock.*uid 0' sudo --socket "$WORK/one.sock"
	told "no socket at all" 'file is no socket' '.' --socket "$WORK/file"
	XDG_RUNTIME_DIR=$WORK/hidden
	export XDG_RUNTIME_DIR
	told "another user's folder" 'no flight recorder that you may ask' 'sudo, or su' --name x
	unset XDG_RUNTIME_DIR
	told "no folder" 'XDG_RUNTIME_DIR is not set' '--socket'
	AS=
	told "another one is running" 'no flight recorder is listening on .*/sock' "the one that is running: --socket .*/one.sock" --socket "$WORK/sock"
	told "an empty path" 'path is empty' '--name' --socket ''
	told "a file" 'file is no socket' 'one.sock' --socket file
	mkdir tapebpf
	mv one.sock tapebpf/one.sock
	told "another name" 'no flight recorder' 'the one that is running: --name one$' --socket "$WORK/tapebpf/two.sock"
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	told "it was killed" 'is listening on .*one.sock any more' 'start one' --socket tapebpf/one.sock
	kill -TERM "$TARGET"
}

# A full disk: what asked is told, the recorder lives, --keep-total knows of the parts, and when there is room it goes on.
disk_full()
{
	need_root
	small_disk small 1m
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 1M --no-final --on signal --cooldown 0s --keep-total 1M --output-dir "$WORK/small"
	sleep 1.5
	snapshot small/a.tape
	assert_eq "status of a client" 1 $?
	snapshot small/a.trace --format go
	for i in 1 2 3; do
		kill -USR2 "$FLIGHT"
		wait_until 20 sh -c '[ "$(grep -c "No space left" record.err)" -ge '$i' ]' || fail "no word of failure $i"
	done
	mount -o remount,size=64m small
	kill -USR2 "$FLIGHT"
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "none when there is room"
	stop_flight 1
	left=$(find small -name 'th_flat*.tape' | wc -l)
	whole=$(find small -name 'th_flat*.tape' | sort | tail -n 1)
	cp "$whole" whole.tape
	assert_eq "left" 1 "$left"
	assert_verified whole.tape
	kill -TERM "$TARGET"
}

# What is missing of a snapshot is missing for a reason. A recorder that stands still finds its rings full.
cause_of_loss()
{
	need_root
	start_target th_flat 4 0 truth 2000
	start_flight -p "$TARGET" --size 16M --ring-size 64k --no-final
	sleep 0.5
	for i in 1 2 3 4 5; do
		kill -STOP "$FLIGHT"
		sleep 0.1
		kill -CONT "$FLIGHT"
		must_snapshot "$i.tape"
	done
	sleep 1
	"$TAPEBPF" status --socket sock --json >status
	stop_flight
	kill -TERM "$TARGET"
	assert_match "status knows why" '"lost.ring_full":[1-9]' status
	# what is missing since a moment ago may still be on its way
	missing=$(sed -n 's/.*"page_records_missing":\([0-9]*\).*/\1/p' status)
	assert_ge "for a reason, of what is lost" "$missing" "$(sed -n 's/.*"lost.ring_full":\([0-9]*\).*/\1/p' status)"
	cat [1-5].tape.err >said
	assert_match "some is lost" '^lost [1-9][0-9]*: ring_full' said
	assert_eq "lost for no reason" 0 "$(grep -c '^lost .*: unknown' said)"
}

for t in nobody_there cause_of_loss disk_full stranger go_of_many_threads signal_meanwhile; do
	run_test $t
done
