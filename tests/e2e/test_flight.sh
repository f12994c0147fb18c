#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `flight` and `snapshot`: what is kept, what is handed out, and that neither the program nor the recording notices.
. "$(dirname "$0")/flight_lib.sh"

# Two threads flat out: each snapshot holds an unbroken piece of what they did, and nothing is lost meanwhile.
while_recording()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 4M --ring-size 16M
	sleep 0.5
	for i in 1 2 3; do
		must_snapshot "$i.tape"
		assert_eq "lost in snapshot $i" 0 "$(lost_of "$i.tape")"
		steps "$i.tape"
		"$TARGETS/truth_check" -w truth s.json >check.out || fail "snapshot $i is not an unbroken piece: $(tail -n 1 check.out)"
		assert_ge "records in snapshot $i" 10000 "$(sed -n 's/^slots.* found \([0-9]*\).*/\1/p' check.out)"
	done
	"$TAPEBPF" snapshot --socket sock --last 200ms -o short.tape 2>short.tape.err >/dev/null || fail "--last"
	assert_verified short.tape
	"$TAPEBPF" dump --json short.tape | sed -n 's/^{"type":"span_exit","t_ns":\([0-9]*\),.*/\1/p' | sort -n | tail -n 1 >latest
	assert_ge "200 ms, and no more is in the last 200 ms" "$(cat latest)" 200000000
	kill -TERM "$TARGET"
	wait_target
	assert_eq "the program's status" 0 "$TARGET_STATUS"
	wait_record
	assert_verified "$(own 1)"
	assert_match "the final snapshot" 'lost 0$' record.err
}

# bytes_of LETTER: how long is the longest run of it in all.json?
bytes_of()
{
	grep -o "$1$1$1$1*" all.json | awk '{ n = length($0) > n ? length($0) : n } END { print n + 0 }'
}

# A thousand callsites, and records of 64 KiB, from the program to both formats; the Go format's texts end at 1024 bytes.
largest()
{
	need_root
	start_flight -b "$TARGETS/th_large" --no-final
	start_target th_large
	wait_until 10 snapshot_has_it || fail "the last record does not come"
	must_snapshot a.tape
	assert_eq "lost" 0 "$(lost_of a.tape)"
	"$TAPEBPF" dump --json a.tape >all.json
	assert_eq "callsites on the tape" 1000 "$(grep '"type":"event"' all.json | grep -o '"name":"site[0-9]*"' | sort -u | wc -l)"
	for letter in a b c; do
		assert_ge "bytes of text $letter" 16200 "$(bytes_of $letter)"
	done
	assert_eq "large records" 2 "$(grep -E '"type":"(event|span_open)"' all.json | grep '"name":"large ' | awk 'length($0) > 65000' | wc -l)"
	snapshot a.trace || fail "as a Go trace: $(cat a.trace.err)"
	assert_eq "lost" 0 "$(lost_of a.trace)"
	assert_eq "callsites in the Go trace" 1000 "$(grep -ao 'site1[0-9][0-9][0-9]' a.trace | sort -u | wc -l)"
	assert_ge "bytes of a text in it" 1000 "$(grep -ao 'aaa*' a.trace | awk '{ n = length($0) > n ? length($0) : n } END { print n + 0 }')"
	kill -TERM "$TARGET"
	stop_flight
}

snapshot_has_it()
{
	rm -f b.tape
	snapshot b.tape && "$TAPEBPF" dump --json b.tape | grep -q '"name":"inside"'
}

# Threads hand a number round: whoever has it says so before the next one may. No effect is there without its cause.
cause_and_effect()
{
	need_root
	start_target th_token 3 100
	start_flight -p "$TARGET" --size 4M --no-final
	for i in 1 2 3; do
		sleep 0.2
		must_snapshot "$i.tape"
		"$TAPEBPF" dump --json "$i.tape" | sed -n 's/^{"type":"event",.*"name":"token",.*"fields":{"n":\([0-9]*\)}.*/\1/p' | sort -n >tokens
		assert_ge "numbers in snapshot $i" 100 "$(wc -l <tokens)"
		assert_eq "numbers that are not there though the next one is" 0 "$(awk 'NR > 1 && $1 != p + 1 { n++ } { p = $1 } END { print n + 0 }' tokens)"
	done
	kill -TERM "$TARGET"
	stop_flight
}

# What was open long before the ring began is there with its fields, and so is what is open at the end.
open_spans()
{
	need_root
	start_flight -b "$TARGETS/th_flat" --size 256k
	start_target th_flat 1 0 truth 200
	sleep 1.5
	must_snapshot a.tape
	"$TAPEBPF" dump --json a.tape >a.json
	grep '"type":"span_open"' a.json | grep '"name":"worker"' >worker
	assert_eq "outer spans" 1 "$(wc -l <worker)"
	assert_match "its fields" '"slot":0,"seq":1' worker
	assert_match "it was open before" 'before' worker
	grep '"type":"span_close"' a.json | tail -n 1 >last
	assert_match "it is cut" 'cut' last
	kill -TERM "$TARGET"
	wait_target
	stop_flight
}

# The same for plain probes, whose begin has left the ring.
open_pairs()
{
	need_root
	start_flight -b "$TARGETS/usdt_long" --size 256k
	start_target usdt_long
	sleep 1.5
	must_snapshot a.tape
	"$TAPEBPF" dump --json a.tape >a.json
	grep '"type":"span_open"' a.json | grep '"name":"job"' >job
	assert_eq "open jobs" 1 "$(wc -l <job)"
	assert_match "its argument" '4711' job
	kill -TERM "$TARGET"
	wait_target
	stop_flight
	"$TAPEBPF" dump --json "$(own 1)" >last.json
	assert_ge "its end is in the last snapshot" 1 "$(grep -c '"type":"span_close"' last.json)"
}

# A thread that has long been idle, its records not flushed.
idle_thread()
{
	need_root
	start_flight -b "$TARGETS/th_tree" --period 500ms --generation 100ms
	cat >hold.sh <<-EOS
		"$TARGETS/th_tree" >target.out
	EOS
	sh hold.sh
	must_snapshot a.tape
	"$TAPEBPF" dump --json a.tape >a.json
	assert_match "a record of a process that has ended" 'at_the_end' a.json
	sleep 1.5
	must_snapshot b.tape
	"$TAPEBPF" dump --json b.tape >b.json
	grep -q at_the_end b.json && fail "what is older than the period is still there"
	stop_flight
}

# A killed program loses nothing; the last target's end ends the recording, with a snapshot.
killed_target()
{
	need_root
	start_target th_flat 2 0 truth 2000
	start_flight -p "$TARGET" --size 64M --period 60s
	sleep 1
	kill -9 "$TARGET"
	wait_target
	wait_record
	assert_match "nothing lost" 'lost 0$' record.err
	steps "$(own 1)"
	"$TARGETS/truth_check" -w truth s.json >check.out || fail "broken: $(tail -n 1 check.out)"
	awk '/^slot / && $10 + 1 < $10 { exit 1 } /^slot / && $16 < $10 { exit 1 }' check.out ||
		fail "the last records are missing: $(cat check.out)"
}

by_signal()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	sleep 0.3
	kill -USR2 "$FLIGHT"
	wait_until 10 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	stop_flight
	assert_eq "snapshots" 1 "$(find out -name '*.tape' | wc -l)"
	assert_verified "$(own 1)"
	kill -TERM "$TARGET"
}

command_to_its_end()
{
	need_root
	"$TAPEBPF" flight --socket sock --output-dir . -- "$TARGETS/usdt_flat" 1 500 >target.out 2>record.err || fail "status $?"
	assert_match "the end" 'emitted 500 = stored 500 [+] lost 0' record.err
}

to_stdout()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	sleep 0.3
	"$TAPEBPF" snapshot --socket sock -o - >a.tape 2>a.err || fail "status $?"
	assert_verified a.tape
	# a name of its own, here
	"$TAPEBPF" snapshot --socket sock >name 2>/dev/null || fail "status $?"
	assert_verified "$(cat name)"
	assert_match "named after the program" '^th_flat_' name
	stop_flight
	kill -TERM "$TARGET"
}

# Equal requests at once: each has its file, one snapshot was taken. A different one waits its turn.
at_once()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 8M --no-final
	sleep 0.5
	snapshot a.tape &
	pa=$!
	snapshot b.tape &
	pb=$!
	snapshot c.tape --last 10ms &
	pc=$!
	wait $pa || fail "first: $(cat a.tape.err)"
	wait $pb || fail "second: $(cat b.tape.err)"
	wait $pc || fail "third: $(cat c.tape.err)"
	for t in a b c; do assert_verified $t.tape; done
	cmp a.tape b.tape || fail "not the same"
	kill -TERM "$TARGET"
	wait_record
}

# Equal requests again: that the disk of the first one is full is not the second one's trouble.
at_once_on_a_full_disk()
{
	need_root
	small_disk full 1m
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 8M --no-final
	sleep 0.5
	kill -STOP "$FLIGHT" # both are read in one round, the first one first
	snapshot full/a.tape &
	pa=$!
	sleep 0.3
	snapshot b.tape &
	pb=$!
	sleep 0.3
	kill -CONT "$FLIGHT"
	wait $pa && fail "first: the disk is full"
	assert_match "said so" 'No space' a.tape.err
	wait $pb || fail "second: $(cat b.tape.err)"
	assert_verified b.tape
	assert_eq "files left on the full disk" 0 "$(find full -type f | wc -l)"
	"$TAPEBPF" status --socket sock --json >status
	assert_match "each is counted" '"snapshots_taken":1,"snapshots_failed":1,"snapshots_waiting":0,' status
	must_snapshot c.tape
	kill -TERM "$TARGET"
	wait_record
}

second_recorder()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	"$TAPEBPF" flight --socket sock -p "$TARGET" 2>second.err && fail "a second one on the same socket"
	assert_match "whose it is" "process $FLIGHT" second.err
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	[ -S sock ] || fail "SIGKILL left no socket?"
	snapshot x.tape && fail "nobody is there"
	assert_match "said so" 'no flight recorder is listening' x.tape.err
	start_flight -p "$TARGET" --no-final # takes the place of the one that died
	must_snapshot a.tape
	stop_flight
	[ ! -e sock ] || fail "the socket was left"
	: >sock
	"$TAPEBPF" flight --socket sock -p "$TARGET" 2>second.err && fail "a file is there"
	assert_match "refused" 'is no socket' second.err
	long=$(printf '%0200d' 0)
	"$TAPEBPF" flight --socket "$long" -p "$TARGET" 2>second.err && fail "long path"
	assert_match "too long" 'too long' second.err
	"$TAPEBPF" snapshot --socket "$long" 2>second.err && fail "long path"
	assert_match "too long" 'too long' second.err
	"$TAPEBPF" flight --socket no/folder -p "$TARGET" 2>second.err && fail "no folder"
	assert_match "refused" 'cannot listen on no/folder: No such file' second.err
	[ ! -e no ] || fail "the folder was made"
	kill -TERM "$TARGET"
}

target_unwritable()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 8M --no-final
	sleep 0.5
	snapshot nowhere/a.tape && fail "no such folder"
	assert_match "said so" 'nowhere' a.tape.err
	small_disk full 1m
	snapshot full/a.tape
	status=$?
	left=$(find full -type f | wc -l)
	assert_eq "status on a full disk" 1 $status
	assert_match "said so" 'No space' a.tape.err
	assert_eq "files left on it" 0 "$left"
	must_snapshot a.tape
	kill -TERM "$TARGET"
	wait_record
}

hostile_clients()
{
	need_root
	need python3
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	cat >client.py <<-'EOS'
		import os, random, socket, time
		def conn():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.settimeout(5)
		    s.connect("sock")
		    return s
		def ask(data, fds=()):
		    s = conn()
		    try:
		        socket.send_fds(s, [data], list(fds)) if fds else s.send(data)
		        return s.recv(65536)
		    except (BrokenPipeError, ConnectionResetError):
		        return b""
		r = random.Random(1)
		for i in range(200):
		    ask(bytes(r.randrange(256) for _ in range(r.randrange(1, 3000))))
		ro = os.open("/etc/passwd", os.O_RDONLY)
		assert ask(b"snapshot\n").startswith(b"error "), "without a file"
		assert ask(b"snapshot\n", [ro]).startswith(b"error "), "read only"
		p = os.pipe()
		assert ask(b"snapshot\n", [p[1]]).startswith(b"error "), "a pipe"
		used = os.open("used", os.O_RDWR | os.O_CREAT)
		os.write(used, b"x")
		assert ask(b"snapshot\n", [used]).startswith(b"error "), "not empty"
		new = os.open("new", os.O_RDWR | os.O_CREAT)
		assert ask(b"snapshot\nlast_ns x\n", [new]).startswith(b"error "), "not a time"
		for bad in (b"-5", b"+5", b" 5", b"0", b"99999999999999999999999"):
		    assert ask(b"snapshot\nlast_ns " + bad + b"\n", [new]).startswith(b"error "), bad
		for i in range(8):
		    own = os.open("own%d" % i, os.O_RDWR | os.O_CREAT)
		    said = ask(b"snapshot\nlast_ns %d\n" % (1000000 * (i + 1)), [own]).decode()
		    size = int(said.split("\nbytes ")[1].split("\n")[0])
		    assert size == os.fstat(own).st_size, (size, os.fstat(own).st_size)
		assert ask(b"snapshot\nformat x\n", [new]).startswith(b"error "), "not a format"
		ask(b"snapshot\n", [new, used, ro, p[0], p[1], new, new, new])
		# one that asks and goes, one that says nothing, more than are served
		for i in range(5):
		    s = conn(); socket.send_fds(s, [b"snapshot\n"], [os.open("g%d" % i, os.O_RDWR | os.O_CREAT)]); s.close()
		idle = []
		for i in range(40):
		    try:
		        idle.append(conn())
		    except OSError:
		        break
		time.sleep(0.3)
		for s in idle: s.close()
		print("done")
	EOS
	python3 client.py >client.out 2>&1 || fail "$(cat client.out)"
	assert_match "the clients" '^done$' client.out
	fds=$(find "/proc/$FLIGHT/fd" -type l | wc -l)
	must_snapshot a.tape
	sleep 0.2
	now=$(find "/proc/$FLIGHT/fd" -type l | wc -l)
	[ "$now" -le "$fds" ] || fail "descriptors stay open: $fds, then $now"
	stop_flight
	kill -TERM "$TARGET"
}

usage()
{
	need_root
	for args in '--size 1k' '--size x' '--period 0' '--period x' '--generation -1s' '--max-spans 0' '--max-snapshots 0' '--dir=' '--nonsense'; do
		# shellcheck disable=SC2086
		"$TAPEBPF" flight $args -p $$ 2>err
		assert_eq "status of $args" 2 $?
	done
	"$TAPEBPF" flight 2>err
	assert_eq "nothing to record" 2 $?
	"$TAPEBPF" snapshot --last x 2>err
	assert_eq "--last x" 2 $?
	"$TAPEBPF" flight --name a/b -p $$ 2>err
	assert_eq "--name a/b" 1 $?
	"$TAPEBPF" flight --output-dir /nowhere -p $$ 2>err
	assert_eq "--output-dir /nowhere" 1 $?
	assert_match "what to try" '^  try: ' err
}

run_test while_recording
run_test cause_and_effect
run_test largest
run_test open_spans
run_test open_pairs
run_test idle_thread
run_test killed_target
run_test by_signal
run_test command_to_its_end
run_test to_stdout
run_test at_once
run_test at_once_on_a_full_disk
run_test second_recorder
run_test target_unwritable
run_test hostile_clients
run_test usage
