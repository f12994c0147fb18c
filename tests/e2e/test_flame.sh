#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `flame -p`, `-b` and `--`: running programs as folded lines and as a picture; whatever ends it, the lines are whole.
. "$(dirname "$0")/lib.sh"

# start_flame ARGS...: FLAME is its pid; lines in lines.txt.
start_flame()
{
	: >lines.txt
	"$TAPEBPF" flame "$@" >lines.txt 2>flame.err </dev/null &
	FLAME=$!
	STARTED="$STARTED $FLAME"
}

wait_flame()
{
	status=0
	wait "$FLAME" || status=$?
	[ $status = "${1:-0}" ] || cat flame.err
	assert_eq "exit status of flame" "${1:-0}" $status
}

# whole FILE: only lines of the one stack that there is (what was entered before the recording is not known), the last
# one with its line break
whole()
{
	[ -s "$1" ] || fail "$1 is empty: $(cat flame.err)"
	if grep -vE '^step [0-9]+$' "$1" | head -n 3 | grep .; then fail "$1: lines that are none"; fi
	assert_eq "line break at the end of $1" 1 "$(tail -c 1 "$1" | wc -l)"
}

for_a_time()
{
	need_root
	start_target th_flat 2 0 truth 2000
	start_flame --folded -p "$TARGET" --duration 500ms
	wait_flame
	whole lines.txt
	assert_eq "merged lines" 1 "$(wc -l <lines.txt)"
	start_flame -p "$TARGET" --duration 300ms
	wait_flame
	assert_match "a picture" '<svg ' lines.txt
	assert_match "a frame" '<title>step$' lines.txt
	kill -TERM "$TARGET"
	wait_target
	assert_eq "the target's status" 0 "$TARGET_STATUS"
}

until_a_signal()
{
	need_root
	for signal in INT TERM HUP; do
		start_target th_flat 1 0 truth 20000
		start_flame --folded --order time -p "$TARGET"
		wait_until 20 test -s lines.txt || fail "no line while it runs: $(cat flame.err)"
		kill -$signal "$FLAME"
		wait_flame
		whole lines.txt
		kill -TERM "$TARGET"
		wait_target
	done
}

until_it_ends()
{
	need_root
	for signal in TERM KILL; do
		start_target th_flat 1 0 truth 20000
		start_flame --folded --order time -p "$TARGET"
		wait_until 20 test -s lines.txt || fail "no line while it runs: $(cat flame.err)"
		kill -$signal "$TARGET"
		wait "$TARGET"
		wait_flame
		whole lines.txt
	done
}

no_such_process()
{
	need_root
	start_flame --folded -p 4194303
	wait_flame 1
	assert_match "who is missing" '4194303' flame.err
}

# A command is recorded from its first instruction, with standard output for itself; all of it is there.
a_command()
{
	need_root
	status=0
	"$TAPEBPF" flame --folded --count -o lines.txt -- "$TARGETS/th_flat" 2 1000 truth >cmd.out 2>flame.err </dev/null || status=$?
	assert_eq "exit status" 0 $status
	assert_eq "all its spans" "worker 2 worker;step 2000" "$(echo $(cat lines.txt))"
	assert_match "its own output" . cmd.out
	"$TAPEBPF" flame --folded --count --name nothing -o lines.txt -- "$TARGETS/th_flat" 1 10 truth >cmd.out 2>flame.err || fail "with a filter: $(cat flame.err)"
	assert_eq "none of that name" "" "$(cat lines.txt)"
	status=0
	"$TAPEBPF" flame --folded --field n=1 -o lines.txt -- true 2>flame.err || status=$?
	assert_eq "fields cannot be asked for" 1 $status
	assert_match "why" 'fields' flame.err
	status=0
	"$TAPEBPF" flame --folded -o none.txt -- true 2>flame.err || status=$?
	assert_eq "a command without probes" 1 $status
	assert_match "says so" 'no probes' flame.err
	[ ! -e none.txt ] || fail "there is a result of nothing"
	status=0
	"$TAPEBPF" flame --folded -- true 2>flame.err || status=$?
	assert_eq "a command and no -o" 2 $status
	status=0
	"$TAPEBPF" flame --folded -o lines.txt -b "$TARGETS/th_flat" -- sh -c "'$TARGETS/th_flat' 1 5 truth >cmd.out; exit 7" 2>flame.err || status=$?
	assert_eq "a command that fails" 0 $status
	assert_match "is told" 'status 7' flame.err
}

one_more()
{
	"$TARGETS/th_flat" 1 100 truth >cmd.out
	[ -s lines.txt ]
}

# Programs that come later, too; until it is ended.
a_binary()
{
	need_root
	start_flame --folded --order time --count -b "$TARGETS/th_flat"
	wait_until 20 one_more || fail "no line: $(cat flame.err)"
	kill -INT "$FLAME"
	wait_flame
	assert_match "spans of a program that came later" '^worker;step 1$' lines.txt
}

run_test for_a_time
run_test a_command
run_test a_binary
run_test until_a_signal
run_test until_it_ends
run_test no_such_process
