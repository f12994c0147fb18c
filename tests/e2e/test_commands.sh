#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The commands as programs among others: where their output goes, where they lie, what they leave to their command.
. "$(dirname "$0")/lib.sh"

# An output that cannot be written is a failure, said once: with a full disk, and with none at all.
full_output()
{
	need_root
	[ -c /dev/full ] || skip "no /dev/full"
	need_target usdt_flat
	"$TAPEBPF" -q -o f.tape -- "$TARGETS/usdt_flat" 1 20 >/dev/null || fail "record: status $?"
	need_target usdt_pairs
	"$TAPEBPF" -q -o s.tape -- "$TARGETS/usdt_pairs" 3 >/dev/null || fail "record of spans: status $?"
	for c in --help --version 'record --help' 'list --help' 'dump --usage' 'verify --help' 'doctor --help' doctor \
		'doctor --json' 'dump f.tape' 'dump --tree f.tape' 'dump --json f.tape' 'verify f.tape' \
		'verify --json f.tape' 'stats s.tape' 'stats --json s.tape' 'flame s.tape' 'flame --folded s.tape' \
		'flame -o - s.tape' 'export --format go -o - s.tape' "list $TARGETS/usdt_flat" "list --json $TARGETS/usdt_flat" \
		"record --json -o g.tape --force -- $TARGETS/usdt_flat 1 20"; do
		# words of $c are arguments
		"$TAPEBPF" $c >/dev/full 2>err
		assert_eq "exit status of $c with a full disk" 1 $?
		assert_match "$c with a full disk" 'cannot write .*: No space left' err
		assert_eq "messages of $c" 1 "$(grep -c 'cannot write' err)"
		"$TAPEBPF" $c >&- 2>err
		assert_eq "exit status of $c without standard output" 1 $?
	done
	"$TAPEBPF" verify g.tape >out || fail "the tape behind a full standard output: $(cat out)"
}

# A recorder that was replaced on disk, or lies deep, finds what the kernel can do all the same.
from_anywhere()
{
	need_root
	need_target usdt_flat
	d=$(printf '%0100d' 0)
	mkdir -p "$d/$d/$d"
	cp "$TAPEBPF" "$d/$d/$d/tapebpf"
	"$d/$d/$d/tapebpf" -o deep.tape -- "$TARGETS/usdt_flat" 1 10 >out 2>err || fail "deep: status $?: $(cat err)"
	cp "$TAPEBPF" gone
	exec 7<gone
	rm gone
	/proc/self/fd/7 -o gone.tape -- "$TARGETS/usdt_flat" 1 10 >out 2>err || fail "deleted: status $?: $(cat err)"
	exec 7<&-
}

# The status line stays one line, however narrow the terminal is.
narrow_terminal()
{
	need_root
	need script
	need_target usdt_flat
	start_target usdt_flat 1 0
	script -qec "stty cols 30; '$TAPEBPF' -o n.tape -p $TARGET --duration 2500ms" typescript </dev/null >out || fail "status $?"
	tr '\r' '\n' <out | sed -n 's/^.\[K\(.* lost.*\)/\1/p' >lines
	assert_ge "status lines" 1 "$(wc -l <lines)"
	assert_eq "status lines that wrap" 0 "$(grep -c '.\{30\}' lines)"
}

# What became of the command is told; it is not the recorder's own status.
fate_of_the_command()
{
	need_root
	need_target usdt_flat
	for how in 'exit 7' 'kill -SEGV $$'; do
		run_record -b "$TARGETS/usdt_flat" -- sh -c "'$TARGETS/usdt_flat' 1 5; $how" || fail "$how: status $?"
		cat record.err >>told
		"$TAPEBPF" record --force --json -o j.tape -b "$TARGETS/usdt_flat" -- sh -c "'$TARGETS/usdt_flat' 1 5; $how" >out 2>err || fail "$how: status $?"
		cat out >>told.json
	done
	run_record -- "$TARGETS/usdt_flat" 1 5 || fail "status $?"
	assert_eq "nothing to tell" 0 "$(grep -c 'exited with' record.err)"
	assert_match "a status" '/sh exited with status 7$' told
	assert_match "a signal" '/sh was killed by signal 11' told
	assert_match "a status, as JSON" '"command":{"pid":[0-9]+,"exit_code":7}' told.json
	assert_match "a signal, as JSON" '"command":{"pid":[0-9]+,"signal":11}' told.json
	echo 'exit 0' >script
	"$TAPEBPF" -- ./script >out 2>err
	assert_eq "exit status without permission" 1 $?
	assert_match "no permission" 'script: it is not an executable file' err
}

run_test full_output
run_test fate_of_the_command
run_test narrow_terminal
run_test from_anywhere
