# SPDX-License-Identifier: MIT
#
# lib.sh - what end-to-end tests are written with. A test file is tests/e2e/test_SUBJECT.sh:
#
#	#!/bin/sh
#	# guest: yes			(it also runs under the kernels of tests/kernels)
#	. "$(dirname "$0")/lib.sh"
#
#	late_attach()
#	{
#		start_target th_loop 1000000
#		start_record -p "$TARGET"
#		...
#		stop_record
#		assert_exact
#		assert_eq "spans" 1000000 "$(count span_close)"
#	}
#	run_test late_attach
#
# Plain POSIX sh and what busybox has, because the same files run in a guest that has nothing else. Each test is a
# function that runs in a subshell with a folder of its own ($WORK, kept for reading afterwards); the first failed assertion
# ends it. Everything started is ended with it.

HERE=$(cd "$(dirname "$0")" && pwd)
TOP=${TOP:-$(cd "$HERE/../.." && pwd)}
B=${B:-$TOP/build}
case $B in /*) ;; *) B=$TOP/$B ;; esac
TAPEBPF=${TAPEBPF:-$TOP/tapebpf}
TARGETS=${TARGETS:-$B/tests/targets}
E2E_OUT=${E2E_OUT:-$B/e2e}
SUBJECT=$(basename "$0" .sh)
FAILED=0

# --- results --------------------------------------------------------------------------------------------

# run_test FUNCTION [NAME]: one result line.
run_test()
{
	name=$SUBJECT.${2:-$1}
	WORK=$E2E_OUT/$SUBJECT/${2:-$1}
	rm -rf "$WORK"
	mkdir -p "$WORK" || exit 1
	# In the background and waited for: a trap on exit then also runs when a child of the test lingers.
	(
		trap 'stop_all' EXIT
		set -u
		cd "$WORK" || exit 1
		"$1"
	) >"$WORK/log" 2>&1
	status=$?
	case $status in
	0)
		echo "ok - $name"
		# what of tapes that stay can be had again, and would be gigabytes in a run
		find "$WORK" -type f -name '*.json' -size +16384 -exec rm -f {} +
		;;
	77) echo "skip - $name: $(tail -n 1 "$WORK/log")" ;;
	*)
		echo "not ok - $name"
		tail -n 60 "$WORK/log" | sed 's/^/    /'
		FAILED=1
		;;
	esac
}

# The file's exit status says whether a test failed; called by itself at the end.
trap 'exit $FAILED' EXIT

fail()
{
	echo "FAILED: $*"
	for f in record.err target.err; do
		[ -s "$WORK/$f" ] && echo "--- $f" && tail -n 15 "$WORK/$f"
	done
	exit 1
}

skip()
{
	echo "$*"
	exit 77
}

assert_eq()
{
	[ "$2" = "$3" ] || fail "$1: expected $2, got $3"
}

assert_ge()
{
	[ "$3" -ge "$2" ] 2>/dev/null || fail "$1: expected at least $2, got $3"
}

# assert_match WHAT REGEX FILE
assert_match()
{
	grep -qE -- "$2" "$3" || {
		echo "--- $3"
		tail -n 20 "$3"
		fail "$1: no line of $3 matches $2"
	}
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need()
{
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# need_target NAME: one of tests/targets
need_target()
{
	[ -x "$TARGETS/$1" ] || fail "no target $TARGETS/$1"
}

# --- processes ------------------------------------------------------------------------------------------

STARTED=

MOUNTED=

stop_all()
{
	for p in $STARTED; do
		kill -9 "$p" 2>/dev/null
	done
	wait 2>/dev/null
	for p in $MOUNTED; do
		umount "$p" 2>/dev/null
	done
}

# small_disk FOLDER SIZE: a file system of its own, gone when the test ends, however it does.
small_disk()
{
	mkdir -p "$1"
	mount -t tmpfs -o size="$2" none "$1" 2>/dev/null || skip "no tmpfs can be mounted here"
	MOUNTED="$MOUNTED $WORK/$1"
}

# wait_until SECONDS COMMAND...: poll until it succeeds.
wait_until()
{
	tries=$(($1 * 20))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

# start_target NAME ARGS...: TARGET is its pid; its output is in target.out, target.err.
start_target()
{
	target=$1
	shift
	case $target in */*) ;; *) need_target "$target"; target=$TARGETS/$target ;; esac
	"$target" "$@" >"$WORK/target.out" 2>"$WORK/target.err" </dev/null &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	# until it has exec'ed it is still this shell
	wait_until 10 execed "$TARGET"
	return 0
}

execed()
{
	[ "$(readlink "/proc/$1/exe")" != "$(readlink "/proc/$$/exe")" ] || [ ! -e "/proc/$1/exe" ]
}

# wait_target: TARGET_STATUS is its exit status.
wait_target()
{
	TARGET_STATUS=0
	wait "$TARGET" || TARGET_STATUS=$?
}

# A recorder says on stderr that it records once everything that was asked for is attached.
recording()
{
	grep -q "$RECORDING_LINE" "$WORK/record.err" || ! kill -0 "$RECORDER" 2>/dev/null
}
RECORDING_LINE='^tapebpf: recording$'

# start_record ARGS...: RECORDER is its pid; the tape is t.tape. Returns when it records.
start_record()
{
	: >"$WORK/record.err" # what an earlier one said
	"$TAPEBPF" record -o "$WORK/t.tape" "$@" >"$WORK/record.out" 2>"$WORK/record.err" </dev/null &
	RECORDER=$!
	STARTED="$STARTED $RECORDER"
	wait_until 30 recording || fail "the recorder did not start recording"
	kill -0 "$RECORDER" 2>/dev/null || wait "$RECORDER" || fail "the recorder ended with status $?"
}

# stop_record [STATUS]: Ctrl-C, and demand that exit status (0).
stop_record()
{
	kill -INT "$RECORDER" 2>/dev/null
	wait_record "${1:-0}"
}

wait_record()
{
	status=0
	wait "$RECORDER" || status=$?
	assert_eq "exit status of the recorder" "${1:-0}" $status
}

# run_record ARGS...: in the foreground, for `-- CMD` and for targets that end by themselves.
run_record()
{
	"$TAPEBPF" record -o "$WORK/t.tape" "$@" >"$WORK/record.out" 2>"$WORK/record.err" </dev/null
}

# --- what was recorded ------------------------------------------------------------------------------------

# dump [TAPE]: NDJSON in t.json; made once.
dump()
{
	[ -s "$WORK/t.json" ] || "$TAPEBPF" dump --json "${1:-$WORK/t.tape}" >"$WORK/t.json" ||
		fail "dump: status $?"
}

# count REGEX...: lines of the dump that match all of them.
count()
{
	dump
	awk 'BEGIN { for (i = 1; i < ARGC; i++) { re[i] = ARGV[i]; ARGV[i] = "" }; cnt = ARGC; ARGV[1] = "'"$WORK"'/t.json" }
		{ for (i = 1; i < cnt; i++) if ($0 !~ re[i]) next; n++ } END { print n + 0 }' "$@"
}

# The numbers of the recorder's last line: `emitted = stored + lost`.
total()
{
	sed -n "s/.*$1[ =:]*\([0-9][0-9,_]*\).*/\1/p" "$WORK/record.err" | tail -n 1 | tr -d ',_'
}

# assert_total WHAT NUMBER: one of the numbers of the last line.
assert_total()
{
	assert_eq "$1" "$2" "$(total "$1")"
}

# emitted = stored + lost, and the recorder has not called anything unaccounted.
assert_exact()
{
	assert_eq "emitted = stored + lost" "$(total emitted)" $(($(total stored) + $(total lost)))
	! grep -q unaccounted "$WORK/record.err" || fail "unaccounted records"
}

# Likewise, with nothing lost.
assert_lossless()
{
	assert_exact
	assert_total lost 0
}

# The tape has no defects, says the independent auditor.
assert_verified()
{
	"$TAPEBPF" verify "${1:-$WORK/t.tape}" >"$WORK/verify.out" 2>&1 || {
		cat "$WORK/verify.out"
		fail "verify: status $?"
	}
}
