#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `flame -p`: a running program as folded lines and as a picture; whatever ends it, the lines are whole.
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

run_test for_a_time
run_test until_a_signal
run_test until_it_ends
run_test no_such_process
