#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Bad input: a clear error that names the fix, the right exit status, nothing left behind, the target unharmed.
. "$(dirname "$0")/lib.sh"

# refused STATUS REGEX ARGS...: tapebpf ARGS fails that way and leaves no tape.
refused()
{
	want=$1 regex=$2
	shift 2
	rm -f ./*.tape
	"$TAPEBPF" "$@" >out 2>err </dev/null
	assert_eq "exit status of tapebpf $*" "$want" $?
	assert_match "tapebpf $*" "$regex" err
	[ "$want" = 2 ] || assert_match "a remedy of tapebpf $*" '^  try: ' err
	set -- ./*.tape
	[ ! -e "$1" ] || fail "a tape was left behind: $1"
}

usage()
{
	refused 2 'Usage:'
	refused 2 'no such command: frobnicate' frobnicate
	refused 2 'nothing to record' record
	refused 2 'not a process id: 12x' -p 12x
	refused 2 'not a process id: -1' -p -1
	refused 2 'want a time' -p 1 --duration soon
	refused 2 'want a size' -p 1 --ring-size 1x
	refused 2 'power of two' -p 1 --chapter-size 100000
	refused 2 'want a number' -p 1 --fail-on-loss=x
	refused 2 'column' -p 1 --sig 'shop:order(u64'
	"$TAPEBPF" --help >out 2>&1 || fail "--help: status $?"
	assert_match "help" 'Commands:' out
}

no_such_thing()
{
	need_root
	refused 1 'no process 4194303' -p 4194303
	refused 1 'cannot open /nonexistent' -b /nonexistent
	refused 1 'no such command' -- /nonexistent/cmd
	refused 1 'no such command' -- nonexistent-command-4711
}

no_probes()
{
	need_root
	sleep 60 &
	STARTED="$STARTED $!"
	refused 1 "has no probes: looked at" -p $!
	assert_match "a remedy" 'try: ' err
	kill -0 $! || fail "the target is gone"
	refused 1 "has no probes" -b "$(command -v sleep)"
	# a command may load anything: it runs, and is told of afterwards
	for c in /bin/echo ./script; do
		printf '#!/bin/sh\necho ran\n' >script
		chmod 755 script
		"$TAPEBPF" -o none.tape --force -- $c ran >out 2>err
		assert_eq "exit status of $c" 1 $?
		assert_eq "the command's output" ran "$(cat out)"
		assert_match "what was looked at" "$c has no probes: looked at [0-9]+ files?; .*(no section|ELF)" err
		assert_match "a remedy" 'try: ' err
		assert_eq "the last line" 'emitted 0 = stored 0 + lost 0' "$(tail -n 1 err)"
	done
}

# A program that exits with 0, of 93 bytes.
i386_program()
{
	{
		printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000\002\000\003\000\001\000\000\000'
		printf '\124\200\004\010\064\000\000\000\000\000\000\000\000\000\000\000\064\000\040\000\001\000\050\000\000\000\000\000'
		printf '\001\000\000\000\000\000\000\000\000\200\004\010\000\200\004\010\135\000\000\000\135\000\000\000\005\000\000\000\000\020\000\000'
		printf '\270\001\000\000\000\061\333\315\200'
	} >"$1"
	chmod 755 "$1"
}

# It runs, and that it is not recorded is said before, by those too that run for days.
a_32_bit_command()
{
	need_root
	[ "$(uname -m)" = x86_64 ] || skip "the program is an i386 one"
	i386_program ./small
	./small || skip "this kernel runs no i386 programs"
	"$TAPEBPF" -o none.tape --force -- ./small >out 2>err
	assert_eq "exit status of record" 1 $?
	assert_match "said before it runs" 'warning: the command itself will not be recorded: ./small: not a 64-bit ELF file' err
	"$TAPEBPF" flight --socket sock --output-dir . -- ./small >out 2>err
	assert_eq "exit status of flight" 1 $?
	assert_match "said before it runs" 'warning: the command itself will not be recorded: ./small: not a 64-bit ELF file' err
	assert_match "and after" './small has no probes' err
}

a_thread_is_no_process()
{
	need_root
	start_target usdt_flat 1 0
	wait_until 10 test -d "/proc/$TARGET/task" || fail "no target"
	tid=$(ls "/proc/$TARGET/task" | grep -vx "$TARGET" | head -n 1)
	[ -n "$tid" ] || skip "no second thread"
	refused 1 "-p $TARGET" -p "$tid"
}

output()
{
	need_root
	start_target usdt_flat 1 0
	refused 1 'No such file or directory' -p "$TARGET" -o /nonexistent/dir/t.tape
	refused 1 '.' -p "$TARGET" -o "$WORK"
	echo precious >t.tape.keep
	cp t.tape.keep kept.tape
	"$TAPEBPF" -p "$TARGET" -o kept.tape --duration 200ms 2>err || fail "status $?"
	cmp kept.tape t.tape.keep || fail "an existing file was overwritten"
	[ -s kept_1.tape ] || fail "no kept_1.tape"
	"$TAPEBPF" -p "$TARGET" -o kept.tape --force --duration 200ms 2>err || fail "status $?"
	"$TAPEBPF" verify kept.tape >/dev/null || fail "--force did not replace"
	kill -0 "$TARGET" || fail "the target is gone"
}

default_name()
{
	need_root
	start_target usdt_flat 1 0
	"$TAPEBPF" -p "$TARGET" --duration 100ms 2>err || fail "status $?"
	ls | grep -qE '^usdt_flat_[0-9]{4}-[0-9]{2}-[0-9]{2}_(Mon|Tue|Wed|Thu|Fri|Sat|Sun)_[0-9]{2}-[0-9]{2}-[0-9]{2}\.tape$' ||
		fail "no tape of that name: $(ls)"
}

# The disk fills up: counting goes on, the tape is whole as far as it got, status 1.
disk_full()
{
	need_root
	mkdir small && mount -t tmpfs -o size=3m none small || skip "cannot mount a tmpfs"
	start_target usdt_flat 1 0
	"$TAPEBPF" -p "$TARGET" -o small/t.tape 2>record.err &
	RECORDER=$!
	STARTED="$STARTED $RECORDER"
	wait_until 30 grep -q 'cannot write the tape' record.err
	kill -TERM "$TARGET"
	wait_target
	wait $RECORDER
	status=$?
	cp small/t.tape t.tape
	umount small
	assert_eq "exit status" 1 $status
	assert_match "said at once" 'cannot write the tape: No space left' record.err
	assert_match "counted" 'not_written' record.err
	assert_eq "emitted = stored + lost" "$(total emitted)" $(($(total stored) + $(total lost)))
	assert_ge "lost" 1 "$(total lost)"
	assert_ge "events on tape" 1000 "$(count '"type":"event"')"
}

gone_during_attach()
{
	need_root
	for i in 1 2 3 4 5 6 7 8 9 10; do
		start_target usdt_flat 1 $((i * 20000))
		"$TAPEBPF" -p "$TARGET" -o "g$i.tape" >out 2>err </dev/null
		status=$?
		[ $status = 0 ] || [ $status = 1 ] || fail "status $status"
		[ $status = 1 ] || "$TAPEBPF" verify "g$i.tape" >verify.out || fail "defects"
		wait_target
		assert_eq "the target's status" 0 "$TARGET_STATUS"
	done
}

# The binary was replaced or deleted after the start: the running inode is what counts.
replaced_binary()
{
	need_root
	need_target usdt_flat
	cp "$TARGETS/usdt_flat" ./prog
	start_target ./prog 1 0
	wait_until 10 test -s "/proc/$TARGET/cmdline"
	mv prog old && echo "#!/bin/sh" >prog && rm old
	"$TAPEBPF" -p "$TARGET" -o r.tape --duration 300ms 2>record.err || fail "status $?"
	assert_ge "events" 100 "$("$TAPEBPF" dump --json r.tape | grep -c '"type":"event"')"
	"$TAPEBPF" list "$TARGET" >list.out 2>&1 || fail "list: status $?"
	assert_match "listed" 'flat' list.out
}

# refused_tape COMMAND FILE
refused_tape()
{
	"$TAPEBPF" "$1" "$2" >out 2>err
	assert_eq "exit status of $1 $2" 1 $?
	assert_match "a remedy of $1 $2" '^  try: ' err
}

hostile_files()
{
	need_root
	head -c 100000 /dev/urandom >noise
	chmod 755 noise
	refused 1 'not an ELF file' -b noise
	head -c 3000 "$TARGETS/usdt_flat" >cut
	"$TAPEBPF" list cut >out 2>err
	[ $? -le 2 ] || fail "list of a cut file: status $?"
	: >empty
	for f in empty noise "$WORK" /dev/null nosuch.tape; do
		for c in dump verify; do
			refused_tape $c "$f"
		done
		[ -e "$f" ] && refused 1 'not an ELF file|not a regular file' list "$f"
	done
	head -c 5000 /dev/urandom >noise.tape
	"$TAPEBPF" dump noise.tape >out 2>err && fail "noise is no tape"
	assert_match "why" 'tape' err
	"$TAPEBPF" verify noise.tape >out 2>err && fail "noise is no tape"
	return 0
}

run_test usage
run_test no_such_thing
run_test no_probes
run_test a_32_bit_command
run_test a_thread_is_no_process
run_test output
run_test default_name
run_test disk_full
run_test gone_during_attach
run_test replaced_binary
run_test hostile_files
