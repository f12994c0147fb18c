#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What was said long ago and holds still: spans opened by hand with what was recorded of them later, values of blocks, begins of plain
# pairs, records of a thread that has been silent since. In snapshots, and in what `recover` finds after kill -9.
. "$(dirname "$0")/flight_lib.sh"

fly_by_hand()
{
	need_root
	start_flight -b "$TARGETS/th_hand" --size 256k --period 1s --generation 100ms --no-final "$@"
	start_target th_hand
	wait_until 30 evicted 20 || fail "nothing has left the ring"
	# what a silent thread has not flushed is read five times a second
	sleep 0.6
}

evicted()
{
	[ "$("$TAPEBPF" status --socket sock --json | sed -n 's/.*"generations_evicted":\([0-9]*\).*/\1/p')" -ge "$1" ]
}

# In a.tape: everything that holds is told as of before, once, with its last values; what is over is not.
assert_told()
{
	"$TAPEBPF" dump --json a.tape | grep -v '"name":"step"' >a.json
	assert_match "opened by hand" '"name":"connection".*"before":true,"fields":[{]"peer":"10.0.0.7"' a.json
	assert_match "its last value" '"fields":[{]"bytes":4711[}]' a.json
	assert_eq "the one before" 0 "$(grep -c '"fields":{"bytes":1}' a.json)"
	assert_match "its child" '"parent":[0-9]*,"parent_kind":"explicit".*"name":"stream".*"before":true,"fields":[{]"n":7' a.json
	assert_match "what it follows" '"type":"span_follows"' a.json
	assert_match "a block" '"name":"service".*"before":true,"fields":[{]"port":8080' a.json
	assert_match "its last value" '"fields":[{]"state":"up"[}]' a.json
	assert_match "the silent thread's" '"name":"waits".*"thread_name":"silent".*"before":true,"fields":[{]"for_whom":"all"' a.json
	assert_eq "spans of before" 4 "$(grep -c '"type":"span_open".*"before":true' a.json)"
	assert_eq "what is over" 0 "$(grep '"span_open"' a.json | grep -c '"early"\|"over"')"
}

in_a_snapshot()
{
	fly_by_hand
	must_snapshot a.tape
	assert_told
	kill -TERM "$TARGET"
	wait_target
	must_snapshot b.tape
	stop_flight
	"$TAPEBPF" dump --json b.tape | grep '"span_close"' >b.json
	assert_match "closed by its program" '"name":"connection"' b.json
	assert_eq "cut" 0 "$(grep -c '"synthetic":"cut"' b.json)"
}

recovered()
{
	fly_by_hand --dir ring
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	"$TAPEBPF" recover ring -o a.tape 2>rec.err || fail "recover: $(cat rec.err)"
	kill -TERM "$TARGET"
	assert_verified a.tape
	assert_match "nothing was damaged" '^[0-9.]* s, ' rec.err
	assert_eq "damaged" 0 "$(grep -c damaged rec.err)"
	assert_told
}

# Records that their thread has not flushed are in the folder, as soon as they have been read.
not_flushed()
{
	need_root
	start_flight -b "$TARGETS/th_hand" --dir ring --size 256M --period 60s --no-final
	start_target th_hand
	sleep 1
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
	"$TAPEBPF" recover ring -o a.tape 2>rec.err || fail "recover: $(cat rec.err)"
	assert_verified a.tape
	"$TAPEBPF" dump --json a.tape >a.json
	assert_eq "said once, hours before its page is full" 1 "$(grep -c 'said once' a.json)"
	assert_match "emitted = stored" 'lost 0$' rec.err
}

# A begin of a plain pair that left the ring, and how its arguments are called.
plain_pairs()
{
	need_root
	start_flight -b "$TARGETS/usdt_long" --dir ring --size 256k --period 1s --generation 100ms --no-final \
		--sig 'long:job__begin(u64 badge)'
	start_target usdt_long
	wait_until 30 evicted 20 || fail "nothing has left the ring"
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
	"$TAPEBPF" recover ring -o a.tape 2>rec.err || fail "recover: $(cat rec.err)"
	assert_verified a.tape
	"$TAPEBPF" dump --json a.tape | grep '"name":"job"' >job.json
	assert_match "the long one" '"before":true,"fields":[{]"badge":4711[}]' job.json
	assert_eq "once" 1 "$(grep -c span_open job.json)"
	"$TAPEBPF" recover ring -o b.tape --sig 'long:job__begin(u64 other)' 2>rec.err || fail "recover: $(cat rec.err)"
	"$TAPEBPF" dump --json b.tape | grep '"name":"job"' >job.json
	assert_match "another name" '"fields":[{]"other":4711[}]' job.json
	start_flight -b "$TARGETS/usdt_long" --dir ring2 --no-pairs --no-final
	start_target usdt_long
	sleep 0.5
	kill -9 "$FLIGHT"
	kill -TERM "$TARGET"
	wait "$FLIGHT"
	"$TAPEBPF" recover ring2 -o c.tape 2>rec.err || fail "recover: $(cat rec.err)"
	"$TAPEBPF" dump --json c.tape >c.json
	assert_eq "spans with --no-pairs" 0 "$(grep -c span_open c.json)"
}

# One byte, anywhere: it is noticed, and costs no more than the record it is in.
flipped_byte()
{
	need_root
	need python3
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --dir ring --size 1M --no-final
	sleep 0.7
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	kill -TERM "$TARGET"
	"$TAPEBPF" recover ring -o whole.tape 2>whole.err || fail "recover: $(cat whole.err)"
	assert_eq "damaged by the kill" 0 "$(grep -c damaged whole.err)"
	emitted=$(sed -n 's/.*emitted \([0-9]*\) = .*/\1/p' whole.err)
	stored=$(sed -n 's/.*= stored \([0-9]*\).*/\1/p' whole.err)
	cat >flip.py <<-'EOS'
		import os, random, sys
		r = random.Random(int(sys.argv[1]))
		run = os.path.join("ring", os.listdir("ring")[0])
		gens = sorted(f for f in os.listdir(run) if f.startswith("gen-"))
		p = os.path.join(run, gens[len(gens) // 2])
		b = bytearray(open(p, "rb").read())
		used = len(b.rstrip(b"\0"))
		at = r.randrange(4096, used)
		b[at] ^= 1 << r.randrange(8)
		open(p, "wb").write(b)
		print(p, at)
	EOS
	cp -a ring ring.whole
	i=0
	while [ $i -lt "${FLIPS:-25}" ]; do
		i=$((i + 1))
		rm -rf ring a.tape
		cp -a ring.whole ring
		python3 flip.py $i >where
		"$TAPEBPF" recover ring -o a.tape 2>rec.err
		assert_eq "status in round $i ($(cat where))" 3 $?
		assert_verified a.tape
		assert_match "noticed in round $i ($(cat where))" '^  gen-0*[1-9][0-9]*: damaged from byte [0-9]+ on' rec.err
		assert_eq "emitted in round $i ($(cat where))" "$emitted" "$(sed -n 's/.*emitted \([0-9]*\) = .*/\1/p' rec.err)"
		assert_ge "stored in round $i ($(cat where))" $((stored - 700)) "$(sed -n 's/.*= stored \([0-9]*\).*/\1/p' rec.err)"
	done
}

for t in in_a_snapshot recovered not_flushed plain_pairs flipped_byte; do
	run_test $t
done
