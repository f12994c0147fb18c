#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `flight --dir` and `recover`: SIGKILL of the recorder and of the target, at random times. KILLS=200 for more rounds.
. "$(dirname "$0")/flight_lib.sh"

# How many records the recorder's own folder gives back.
recover()
{
	"$TAPEBPF" recover "$@" >rec.out 2>rec.err || fail "recover: status $?: $(cat rec.err)"
}

found() { sed -n 's/^slots.* found \([0-9]*\).*/\1/p' check.out; }

# The recorder is killed: its folder gives an unbroken piece, up to the last drain.
killed_recorder()
{
	need_root
	i=0
	while [ $i -lt "${KILLS:-6}" ]; do
		i=$((i + 1))
		rm -rf ring truth ./*.tape
		start_target th_flat 2 0 truth 1000
		start_flight -p "$TARGET" --dir ring --size 4M --ring-size 16M --no-final
		sleep "0.$(((i * 37) % 9 + 1))"
		kill -9 "$FLIGHT"
		wait "$FLIGHT"
		kill -TERM "$TARGET"
		wait_target
		assert_eq "the target's status" 0 "$TARGET_STATUS"
		recover ring -o a.tape
		assert_verified a.tape
		assert_match "the sum" 'lost 0$' rec.err
		steps a.tape
		"$TARGETS/truth_check" -w truth s.json >check.out || fail "round $i: broken: $(tail -n 1 check.out)"
		assert_ge "records found in round $i" 1000 "$(found)"
	done
}

# The target is killed, then the recorder: all that the target had recorded is there.
killed_both()
{
	need_root
	i=0
	while [ $i -lt "${KILLS:-6}" ]; do
		i=$((i + 1))
		rm -rf ring truth ./*.tape
		start_target th_flat 2 0 truth 4000
		start_flight -b "$TARGETS/th_flat" --dir ring --size 64M --period 60s --no-final
		sleep "0.$(((i * 53) % 9 + 1))"
		kill -9 "$TARGET"
		wait_target
		# until the last of it is out of the kernel's rings
		sleep 0.3
		kill -9 "$FLIGHT"
		wait "$FLIGHT"
		recover ring -o a.tape
		assert_verified a.tape
		steps a.tape
		"$TARGETS/truth_check" -w truth s.json >check.out || fail "round $i: broken: $(tail -n 1 check.out)"
		awk '/^slot / && $16 + 0 < $10 + 0 { exit 1 }' check.out || fail "round $i: the last records are missing: $(cat check.out)"
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
	mkdir small
	mount -t tmpfs -o size=1m none small || skip "no tmpfs"
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --dir small/ring --size 8M --no-final
	sleep 0.5
	"$TAPEBPF" status --socket sock --json >status || fail "status"
	kill -TERM "$TARGET"
	wait_target
	status=$TARGET_STATUS
	wait_record
	umount small
	assert_eq "the target's status" 0 "$status"
	failed=$(sed -n 's/.*"dir_failed":\([0-9]*\).*/\1/p' status)
	assert_ge "counted" 1 "$failed"
}

# Cut and flipped at random places: what is whole is kept, the tape is sound.
damaged()
{
	need_root
	need python3
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --dir ring --size 1M --no-final
	sleep 0.5
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
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
	while [ $i -lt "${KILLS:-20}" ]; do
		i=$((i + 1))
		python3 harm.py $i
		rm -f a.tape
		"$TAPEBPF" recover harmed -o a.tape >rec.out 2>rec.err
		status=$?
		[ $status -le 1 ] || fail "round $i: status $status"
		[ $status = 1 ] || assert_verified a.tape
	done
}

for t in killed_recorder killed_both in_order elsewhere disk_full damaged; do
	run_test $t
done
