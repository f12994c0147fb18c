#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `flight --dir` and `recover`: SIGKILL of 200 targets (KILLS) and of a fifth as many recorders, at random times.
. "$(dirname "$0")/flight_lib.sh"

# How many records the recorder's own folder gives back.
recover()
{
	"$TAPEBPF" recover "$@" >rec.out 2>rec.err || fail "recover: status $?: $(cat rec.err)"
}

found() { sed -n 's/^slots.* found \([0-9]*\).*/\1/p' check.out; }

# random N ROUND: below N, the same for each run of the test.
random() { echo $(($2 * 7919 % 10007 * 31 % $1)); }

# milliseconds N: as sleep(1) takes them
milliseconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

recovered_lost() { sed -n 's/.* lost \([0-9]*\)$/\1/p' rec.err | tail -n 1; }

# Everything has been taken out of the kernel's rings.
drained() { "$TAPEBPF" status --socket sock --json | grep -q '"kernel_ring_used":0[,}]'; }

# What is missing from the middle may be no more than what was said to be lost: nothing, but on a machine that lets the recorder starve.
assert_whole()
{
	steps a.tape
	"$TARGETS/truth_check" -w truth s.json >check.out && return
	missing=$(sed -n 's/^slots.* missing \([0-9]*\).*/\1/p' check.out)
	lost=$(recovered_lost)
	grep -q '^slots .* twice 0 .* beyond 0 ' check.out || fail "$1: broken: $(tail -n 1 check.out)"
	[ "${missing:-1}" -le "${lost:-0}" ] || fail "$1: $missing records are missing, $lost lost"
}

# The recorder is killed: its own folder gives an unbroken piece, up to the last drain. (SIGKILL at every moment of the writer
# alone: tests/unit/flight/test_kill.c.)
killed_recorder()
{
	need_root
	i=0
	while [ $i -lt "$((${KILLS:-200} / 10))" ]; do
		i=$((i + 1))
		rm -rf ring truth ./*.tape
		start_target th_flat 2 0 truth 20000
		start_flight -p "$TARGET" --dir ring --size 4M --ring-size 16M --no-final
		sleep "$(milliseconds $((250 + $(random 500 $i))))"
		kill -9 "$FLIGHT"
		wait "$FLIGHT"
		kill -TERM "$TARGET"
		wait_target
		assert_eq "the target's status" 0 "$TARGET_STATUS"
		recover ring -o a.tape
		assert_verified a.tape
		assert_whole "round $i"
		assert_ge "records found in round $i" 20 "$(found)"
	done
}

# Ten targets are killed, each when it may be, then the recorder: all that the targets had recorded is there.
killed_both()
{
	need_root
	i=0
	while [ $i -lt "$((${KILLS:-200} / 10))" ]; do
		i=$((i + 1))
		rm -rf ring truth ./*.tape
		start_flight -b "$TARGETS/th_flat" --dir ring --size 64M --period 60s --ring-size 16M --no-final
		killers=
		killed=
		for k in 1 2 3 4 5 6 7 8 9 10; do
			"$TARGETS/th_flat" 1 0 truth 20000 >/dev/null 2>&1 </dev/null &
			STARTED="$STARTED $!"
			killed="$killed $!"
			(sleep "$(milliseconds $((20 + $(random 400 $((i * 10 + k))))))" && kill -9 $!) &
			killers="$killers $!"
		done
		for k in $killers; do
			wait "$k" || fail "round $i: a target had ended before"
		done
		for k in $killed; do
			wait "$k"
		done
		wait_until 10 drained || fail "round $i: the rings are not empty"
		kill -9 "$FLIGHT"
		wait "$FLIGHT"
		recover ring -o a.tape
		assert_verified a.tape
		assert_whole "round $i"
		[ "$(recovered_lost)" = 0 ] || continue
		awk '/^slot / && $16 + 0 < $10 + 0 { exit 1 }' check.out || fail "round $i: the last records are missing: $(cat check.out)"
	done
}

# The recorder sleeps until its rings are full; a target goes on, and is killed. Once the recorder says that its rings are empty, what they had no
# room for has been written down as well.
refused()
{
	need_root
	i=0
	while [ $i -lt 10 ]; do
		i=$((i + 1))
		rm -rf ring truth ./*.tape
		start_flight -b "$TARGETS/th_flat" --dir ring --size 64M --period 60s --ring-size 64K --no-final
		start_target th_flat 1 0 truth 2000
		sleep 0.2
		kill -STOP "$FLIGHT"
		sleep "$(milliseconds $((20 + $(random 100 $i))))"
		kill -9 "$TARGET"
		wait_target
		kill -CONT "$FLIGHT"
		wait_until 10 drained || fail "round $i: the ring is not empty"
		kill -9 "$FLIGHT"
		wait "$FLIGHT"
		recover ring -o a.tape
		steps a.tape
		"$TARGETS/truth_check" -w truth s.json >check.out
		missing=$(awk '/^slot / { print $20 + $10 - $16 }' check.out)
		assert_ge "round $i: records lost, of $missing that are missing" "$missing" "$(recovered_lost)"
	done
}

# sum_of PATTERN: of the numbers in `status` whose key it is.
sum_of() { tr ',{}' '\n\n\n' <status | sed -n "s/^\"$1\":\([0-9]*\)$/\1/p" | awk '{ s += $1 } END { print s + 0 }'; }

# As fast as they go into rings that are too small: each record that was made is in the ring or counted as lost, by the status, by what recover finds
# after a kill, and by the last line of a recorder that ends in order.
counted()
{
	need_root
	for end in KILL INT; do
		rm -rf ring truth a.tape
		start_flight -b "$TARGETS/th_flat" --dir ring --size 256M --period 10m --ring-size 64K --no-final
		start_target th_flat 2 400000 truth
		wait_target
		made=$((2 * $(cut -d' ' -f1 target.out) + 4))
		wait_until 20 drained || fail "$end: the rings are not empty"
		"$TAPEBPF" status --socket sock --json >status || fail "status"
		lost=$(($(sum_of 'lost[.][a-z_]*') + $(sum_of page_records_missing)))
		assert_eq "$end: records kept and lost" "$made" $(($(sum_of page_records) + lost))
		assert_ge "$end: lost" 1 "$lost"
		kill -$end "$FLIGHT"
		wait "$FLIGHT"
		if [ $end = INT ]; then
			assert_match "said so" "^tapebpf: $lost records were lost in all: .*ring_full" record.err
			continue
		fi
		recover ring -o a.tape
		assert_verified a.tape
		assert_eq "recovered, emitted" "$made" "$(emitted_by rec.err)"
		assert_eq "recovered, lost" "$lost" "$(recovered_lost)"
		said=$(sed -n 's/.*complete until \([^,]*\),.*/\1/p' rec.err)
		"$TAPEBPF" dump a.tape | tail -n 1 >end.out
		assert_match "on the tape" "^complete until $said; " end.out
		"$TAPEBPF" verify a.tape >end.out
		assert_match "seen by verify" "complete until $said" end.out
		"$TAPEBPF" dump --json a.tape | tail -n 1 >end.out
		assert_match "in JSON" '"complete_until_ns":[0-9]{19}' end.out
	done
}

# An end in order leaves nothing behind; leftovers of a killed one are told of, and found.
in_order()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --dir ring
	sleep 0.3
	"$TAPEBPF" recover ring 2>err && fail "it is running"
	assert_match "said so" 'is running' err
	must_snapshot a.tape
	stop_flight
	assert_eq "left" 0 "$(find ring -mindepth 1 | wc -l)"
	"$TAPEBPF" recover ring 2>err && fail "nothing is there"
	start_flight -p "$TARGET" --dir ring --no-final
	sleep 0.3
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	start_flight -p "$TARGET" --dir ring --no-final
	assert_match "told of it" 'recover ring/run-' record.err
	recover ring -o b.tape # the one that is not running
	assert_verified b.tape
	stop_flight
	kill -TERM "$TARGET"
}

# Plain probes and names are in the folder: it is read without the program.
elsewhere()
{
	need_root
	cp "$TARGETS/usdt_long" prog
	start_flight -b "$WORK/prog" --dir ring --no-final
	start_target "$WORK/prog"
	sleep 0.5
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
	wait_target
	mv ring elsewhere
	rm prog
	recover elsewhere -o a.tape
	"$TAPEBPF" dump --json a.tape >a.json
	assert_match "a span of plain probes" '"name":"step"' a.json
	assert_match "its process" 'prog' a.json
}

# The disk is full: counted, the program and the recorder go on.
disk_full()
{
	need_root
	small_disk small 1m
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --dir small/ring --size 8M --no-final
	sleep 0.5
	"$TAPEBPF" status --socket sock --json >status || fail "status"
	kill -TERM "$TARGET"
	wait_target
	status=$TARGET_STATUS
	wait_record
	assert_eq "the target's status" 0 "$status"
	failed=$(sed -n 's/.*"dir_failed":\([0-9]*\).*/\1/p' status)
	assert_ge "counted" 1 "$failed"
}

# leave_a_folder: what a recorder that is killed leaves, in ring/run-*.
leave_a_folder()
{
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --dir ring --size 1M --no-final
	sleep 0.5
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
}

# Cut and flipped at random places: what is whole is kept, the tape is sound.
damaged()
{
	need_root
	need python3
	leave_a_folder
	cat >harm.py <<-'EOS'
		import os, random, shutil, sys
		r = random.Random(int(sys.argv[1]))
		shutil.rmtree("harmed", True)
		run = [d for d in os.listdir("ring")][0]
		shutil.copytree(os.path.join("ring", run), "harmed")
		files = sorted(os.listdir("harmed"))
		for f in r.sample(files, min(len(files), 3)):
		    p = os.path.join("harmed", f)
		    b = bytearray(open(p, "rb").read())
		    if r.random() < 0.5:
		        b = b[: r.randrange(len(b) + 1)]
		    else:
		        for i in range(r.randrange(1, 50)):
		            b[r.randrange(len(b))] ^= 1 << r.randrange(8)
		    open(p, "wb").write(b)
	EOS
	i=0
	while [ $i -lt 20 ]; do
		i=$((i + 1))
		python3 harm.py $i
		rm -f a.tape
		"$TAPEBPF" recover harmed -o a.tape >rec.out 2>rec.err
		status=$?
		[ $status = 0 ] || [ $status = 3 ] || fail "round $i: status $status"
		[ $status = 0 ] || assert_match "round $i: said" '^damaged, cut or not there' rec.err
		assert_verified a.tape
	done
}

# The oldest file is cut to next to nothing, wherever: said, and no time is claimed that nothing is known of.
cut_short()
{
	need_root
	leave_a_folder
	for bytes in 0 8 63 4096 4097 4120 8192; do
		rm -rf harmed a.tape
		cp -r ring/run-* harmed
		oldest=$(find harmed -name 'gen-*' | sort | head -n 1)
		truncate -s $bytes "$oldest"
		"$TAPEBPF" recover harmed -o a.tape >rec.out 2>rec.err
		assert_eq "cut to $bytes: status" 3 $?
		assert_match "cut to $bytes" "$(basename "$oldest"): cut at byte $bytes " rec.err
		assert_match "cut to $bytes, the time" '^[0-9]\.[0-9] s, ' rec.err
		assert_verified a.tape
	done
}

emitted_by() { sed -n 's/.*emitted \([0-9]*\) = .*/\1/p' "$1"; }

# harmed_one NAME STATUS PATTERN [LEAST]: what recover says of `harmed`, from which something has been taken; as much was emitted as before, or, where
# the last records are among it, more than LEAST.
harmed_one()
{
	rm -f a.tape
	"$TAPEBPF" recover harmed -o a.tape >rec.out 2>rec.err
	assert_eq "$1: status" "$2" $?
	assert_match "$1: said" "$3" rec.err
	assert_verified a.tape
	if [ -z "${4:-}" ]; then
		assert_eq "$1: emitted" "$emitted" "$(emitted_by rec.err)"
	else
		assert_ge "$1: emitted" "$4" "$(emitted_by rec.err)"
		assert_ge "$1: emitted" "$(emitted_by rec.err)" "$emitted"
	fi
	rm -rf harmed
	cp -r ring/run-* harmed
}

# Each file but the account itself is told by name when it is not there, and what was in it is counted.
deleted()
{
	need_root
	leave_a_folder
	cp -r ring/run-* harmed
	recover harmed -o whole.tape
	emitted=$(emitted_by rec.err)
	assert_match "up to when" '^complete until 20.*Z' rec.err
	newest=$(find harmed -name 'gen-*' | sort | tail -n 1)
	newest=$(basename "$newest")
	for gen in $(find harmed -name 'gen-*' | sort); do
		# The newest may have been filled and sealed just before the kill: then its number is known.
		gen=$(basename "$gen")
		rm "harmed/$gen"
		if [ "$gen" = "$newest" ]; then
			harmed_one "$gen" 3 "$gen is not there; (at least )?[0-9]+ records were in it" $((emitted / 2))
		else
			harmed_one "$gen" 3 "$gen is not there; [0-9]+ records were in it"
		fi
	done
	rm harmed/gen-*
	harmed_one "all of them" 3 'of which nothing is known there were [0-9]+ records' $((emitted / 2))
	rm harmed/defs
	harmed_one defs 0 'defs is not there; defs-copy was read'
	rm harmed/defs-copy
	harmed_one defs-copy 0 'defs-copy is not there'
	rm harmed/defs harmed/defs-copy
	harmed_one "both of them" 3 'defs is not there: no callsite'
	rm harmed/state
	harmed_one state 3 'state is not there: up to when the rest is complete is not known'
}

for t in killed_recorder killed_both refused counted in_order elsewhere disk_full damaged cut_short deleted; do
	run_test $t
done
