#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a terminal must not see, descriptors that are missing, other tracers on the same sites, and nothing left behind.
. "$(dirname "$0")/flight_lib.sh"

# assert_harmless FILE...: no control characters but line ends, and valid UTF-8.
assert_harmless()
{
	for f; do
		[ -s "$f" ] || fail "$f is empty"
		[ "$(tr -d '\n' <"$f" | LC_ALL=C tr -d '\040-\176\200-\377' | wc -c)" = 0 ] || fail "control characters in $f: $(cat -v "$f")"
		! command -v iconv >/dev/null || iconv -f UTF-8 -t UTF-8 "$f" >/dev/null || fail "no UTF-8 in $f"
	done
}

names()
{
	need_root
	need_target usdt_names
	[ "$(uname -m)" = x86_64 ] || skip "the notes are written for x86-64"
	evil=$(printf 'ex\033[7me\n\377"x')
	cp "$TARGETS/usdt_names" "./$evil" || fail "cp"
	"$TAPEBPF" list "./$evil" >list.txt 2>&1 || fail "list: status $?"
	"$TAPEBPF" list --json "./$evil" >list.json 2>&1 || fail "list --json: status $?"
	"$TAPEBPF" -v --sig '*:*(str s)' -- "./$evil" 3 >out 2>record.err || fail "record: status $?"
	assert_eq "the target's result" 3 "$(cat out)"
	assert_lossless
	set -- *.tape
	[ $# = 1 ] || fail "tapes: $*"
	assert_verified "$1"
	for how in '' --tree --json; do
		"$TAPEBPF" dump $how "$1" >"dump$how.txt" 2>&1 || fail "dump $how: status $?"
	done
	"$TAPEBPF" record --json -o "$evil.tape" -- "./$evil" 1 >json.txt 2>/dev/null || fail "record --json: status $?"
	"$TAPEBPF" -b "./no$evil" >missing.txt 2>&1
	"$TAPEBPF" -o "./no$evil/t.tape" -- true >nowhere.txt 2>&1
	printf 'shop:a(u64 \033[7mid)\n' >evil.sig
	"$TAPEBPF" list --sig @evil.sig "./$evil" >sig.txt 2>&1
	assert_eq "exit status of a bad signature" 2 $?
	assert_harmless sig.txt list.txt list.json record.err verify.out dump.txt dump--tree.txt dump--json.txt json.txt missing.txt nowhere.txt
	assert_eq "events" 12 "$(grep -c '"type":"event"' dump--json.txt)"
	assert_eq "texts" 12 "$(grep -c '"s":"str\\u001b\[31m' dump--json.txt)"
	assert_match "an escape is shown, not sent" 'ev\\x1b\[31mil:na\\nme' list.txt
	assert_match "an argument nobody can read" 'arg2: unreadable \(4@%zzz\)' list.txt
}

# A flight recorder tells of a program with such a name, and of triggers whose texts are as bad, in as many lines as they are.
names_in_flight()
{
	need_root
	need_target th_trigger
	evil=$(printf 'ex\033[7m\nprocess 1 1 1 1 e\377"x')
	cp "$TARGETS/th_trigger" "./$evil" || fail "cp"
	start_flight -b "./$evil" --on "$(printf 'event:\n request.failed')" --on "$(printf '\n exit\t')" --on "$(printf 'event:"\033[7m\ntrigger 1 x"')" --cooldown 0s
	start_target "./$evil" event
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	"$TAPEBPF" status --socket sock >status.txt || fail "status"
	"$TAPEBPF" status --socket sock --json >status.json || fail "status --json"
	"$TAPEBPF" snapshot --socket sock >snapshot.txt 2>&1 || fail "snapshot"
	kill -TERM "$TARGET"
	wait_target
	stop_flight
	"$TAPEBPF" dump "$(own 1)" >dump.txt || fail "dump"
	assert_harmless status.txt status.json snapshot.txt dump.txt record.err
	assert_eq "triggers" 3 "$(grep -o '"fired":' status.json | wc -l)"
	assert_eq "targets" 1 "$(grep -o '"comm":' status.json | wc -l)"
	assert_match "the process" " $TARGET  .* threads  ex.[[]7m" status.txt
	! command -v python3 >/dev/null || python3 -m json.tool status.json >/dev/null || fail "no JSON"
}

# What lies in a folder that somebody else gave us has names, too.
names_in_a_folder()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --dir ring --no-final
	sleep 0.5
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
	mkdir "$(echo ring/run-*)/$(printf 'gen-9\033[7m\n\377')"
	"$TAPEBPF" recover ring -o a.tape >rec.out 2>rec.txt
	assert_eq "status" 3 $?
	assert_harmless rec.txt
	assert_match "the one that cannot be read" '^  gen-9.x1b.* cannot be read: it is no file' rec.txt
}

# Each standard stream closed, then all: the tape must not get a number that messages are written to.
closed_streams()
{
	need_root
	need_target usdt_flat
	"$TAPEBPF" -o in.tape -- "$TARGETS/usdt_flat" 1 100 2>err <&- || fail "stdin closed: status $?"
	"$TAPEBPF" -o out.tape -- "$TARGETS/usdt_flat" 1 100 2>err >&- || fail "stdout closed: status $?"
	"$TAPEBPF" -o err.tape -- "$TARGETS/usdt_flat" 1 100 2>&- >out || fail "stderr closed: status $?"
	"$TAPEBPF" -v -o all.tape -- "$TARGETS/usdt_flat" 1 100 <&- >&- 2>&- || fail "all closed: status $?"
	for t in in out err all; do
		assert_verified $t.tape
		assert_eq "events with $t closed" 100 "$("$TAPEBPF" dump --json $t.tape | grep -c '"type":"event"')"
	done
}

few_descriptors()
{
	need_root
	need_target usdt_flat
	for n in 10 15 20 25; do
		(ulimit -n $n && exec "$TAPEBPF" -o t.tape -- "$TARGETS/usdt_flat" 1 100) >out 2>err && continue
		assert_match "with $n descriptors" 'Too many open files' err
		assert_match "a remedy" 'ulimit -n' err
		[ ! -e t.tape ] || fail "a tape was left behind"
	done
}

# Not a file: refused at once, never waited for.
special_files()
{
	need_root
	need_target usdt_flat
	mkfifo pipe
	for f in pipe /dev/null /dev/full; do
		timeout 10 "$TAPEBPF" -o $f --force -- "$TARGETS/usdt_flat" 1 1 >out 2>err
		assert_eq "exit status of -o $f" 1 $?
		timeout 10 "$TAPEBPF" -b $f -o t.tape 2>err
		assert_eq "exit status of -b $f" 1 $?
		assert_match "-b $f" 'not a regular file' err
	done
	[ -p pipe ] && [ -c /dev/null ] || fail "a device was replaced"
}

# An instance of our own place: whether one is mounted for all is nobody's business here.
mount_tracefs()
{
	mkdir -p "$WORK/tracefs"
	mount -t tracefs none "$WORK/tracefs" 2>/dev/null || skip "cannot mount tracefs"
	TRACEFS=$WORK/tracefs
	[ -e "$TRACEFS/uprobe_events" ] || { umount "$TRACEFS"; skip "no uprobe_events in tracefs"; }
}

drop_event()
{
	echo 0 >"$TRACEFS/events/tape_e2e/enable"
	echo "-:tape_e2e/held" >>"$TRACEFS/uprobe_events"
	umount "$TRACEFS"
}

# Somebody has a probe on a site, without its semaphore: the kernel refuses ours there, the user is told, the rest works.
held_by_another_tracer()
{
	need_root
	need readelf
	need_target usdt_args
	[ "$(uname -m)" = x86_64 ] || skip "reads an x86-64 binary"
	cp "$TARGETS/usdt_args" prog
	addr=$(readelf -n prog | grep -A1 'Name: guarded' | sed -n 's/.*Location: 0x0*\([0-9a-f]*\),.*/\1/p')
	text=$(readelf -SW prog | sed -n 's/.* \.text *PROGBITS *0*\([0-9a-f]*\) 0*\([0-9a-f]*\) .*/\1 \2/p')
	offset=$((0x$addr - 0x${text% *} + 0x${text#* }))
	mount_tracefs
	trap 'stop_all; drop_event' EXIT
	printf 'p:tape_e2e/held %s:0x%x\n' "$PWD/prog" $offset >>"$TRACEFS/uprobe_events" || skip "no uprobe event to be made"
	echo 1 >"$TRACEFS/events/tape_e2e/enable" || fail "cannot enable the event"
	run_record -- ./prog 50 || fail "record: status $?"
	assert_lossless
	assert_match "told" 'warning: .*prog: 1 of 11 probe sites will not be recorded, shop:guarded' record.err
	assert_eq "the held one" 0 "$(count '"type":"event"' '"name":"guarded"')"
	assert_eq "the others" 50 "$(count '"type":"event"' '"name":"four"')"
	assert_eq "the target's result" "50 40425" "$(cat record.out)"
}

# Stopped at any moment of its life, the recorder closes its tape, leaves no event in tracefs, and its target runs on.
stopped_at_any_moment()
{
	need_root
	start_target usdt_flat 1 0
	i=0
	for s in INT TERM HUP INT TERM HUP INT TERM HUP INT TERM HUP; do
		i=$((i + 1))
		"$TAPEBPF" -p "$TARGET" -o t$i.tape 2>record.err &
		RECORDER=$!
		STARTED="$STARTED $RECORDER"
		wait_until 10 recorder_catches || fail "the recorder does not catch signals"
		sleep 0.$(printf '%02d' $((i * 4)))
		kill -$s $RECORDER
		wait_record
		assert_exact
		assert_verified t$i.tape
		rm t$i.tape
	done
	[ "$(ls ./*.tape 2>/dev/null)" = "" ] || fail "left behind: $(ls)"
	"$TAPEBPF" list "$TARGET" >list.out || fail "list: status $?"
	assert_match "no breakpoint is left" ' idle .*flat:hit' list.out
	kill -TERM "$TARGET"
	wait_target
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	mount_tracefs
	left=$(grep -c usdt_flat "$TRACEFS/uprobe_events")
	umount "$TRACEFS"
	assert_eq "events left in tracefs" 0 "$left"
}

# SIGHUP is bit 0, SIGINT bit 1, SIGTERM bit 14 of what it catches.
recorder_catches()
{
	grep -q '^SigCgt:.*4[0-9a-f]*3$' "/proc/$RECORDER/status" 2>/dev/null
}

# Each tries what the kernel offers on the same file, its own: they must not be in each other's way.
recorders_that_start_together()
{
	need_root
	need_target usdt_flat
	for round in 1 2 3; do
		pids=
		for i in 1 2 3 4 5 6; do
			"$TAPEBPF" -o t$i.tape --force -- "$TARGETS/usdt_flat" 1 100 >out$i 2>err$i &
			pids="$pids $!"
			STARTED="$STARTED $!"
		done
		for p in $pids; do
			wait "$p" || fail "a recorder failed: $(cat err?)"
		done
		for i in 1 2 3 4 5 6; do
			assert_match "recorder $i" '^emitted 100 = stored 100 ' err$i
		done
	done
}

# A program that has given up its system calls on pain of death: told, and never killed by a recorder.
sandboxes()
{
	need_root
	need_target th_sandbox
	mkfifo hold
	for mode in filter strict; do
		"$TARGETS/th_sandbox" $mode 100000 <hold >target.out 2>target.err &
		TARGET=$!
		STARTED="$STARTED $TARGET"
		exec 9>hold
		wait_until 10 grep -q sealed target.out || fail "the target did not start"
		if [ $mode = filter ]; then
			start_record -p "$TARGET"
			echo >&9
			wait_target
			wait_record
			assert_match "it is told" "warning: process $TARGET runs under a filter of system calls" record.err
			assert_eq "spans of a prepared thread" 200000 "$(total emitted)"
			assert_lossless
			assert_verified
		else
			"$TAPEBPF" -o strict.tape -p "$TARGET" 2>strict.err
			assert_eq "strict mode is refused" 1 $?
			assert_match "and why" "process $TARGET is in seccomp's strict mode" strict.err
			[ ! -e strict.tape ] || fail "a tape was left behind"
			echo >&9
			wait_target
		fi
		exec 9>&-
		assert_eq "the target lives: $mode" "0 alive" "$TARGET_STATUS $(tail -n 1 target.out)"
	done
}

run_test names
run_test names_in_flight
run_test names_in_a_folder
run_test sandboxes
run_test recorders_that_start_together
run_test closed_streams
run_test few_descriptors
run_test special_files
run_test held_by_another_tracer
run_test stopped_at_any_moment
