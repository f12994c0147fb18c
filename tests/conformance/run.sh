#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh [FOLDER...] - does the upstream parser load our tapes? Builds a small reader around it (tests/conformance/upstream)
# and gives it the tapes that the unit tests write, killed recorders' among them, and every *.tape under the folders.
#
# Before that, in the same way, Go traces and the readers of Go (go_traces.sh).
#
# Result lines and a closing line as all our tests. Skipped where there is no cargo or go, or its registry cannot be reached.
set -u
cd "$(dirname "$0")/../.." || exit 1
. scripts/tally.sh
. tests/conformance/go_traces.sh
. tests/conformance/fold.sh
B=${B:-build}
OUT=$B/conformance

skip() {
	echo "skip - conformance: $1"
	tally__add 0 0 1
	tally__close
	exit
}

fail() {
	[ -z "${2:-}" ] || tail -n 20 "$2" | sed 's/^/    /'
	echo "not ok - conformance: $1"
	tally__add 0 1 0
}

pass() {
	echo "ok - conformance: $1"
	tally__add 1 0 0
}

# Crate $1, which makes program $2. 0 built, 1 not.
build() {
	local manifest=tests/conformance/$1/Cargo.toml

	timeout 300 cargo fetch --quiet --locked --manifest-path "$manifest" >"$LOG" 2>&1 ||
		timeout 60 cargo fetch --quiet --offline --locked --manifest-path "$manifest" >>"$LOG" 2>&1 ||
		skip "the upstream crates cannot be fetched: $(tail -n 1 "$LOG")"
	timeout 900 cargo build --quiet --release --offline --locked --manifest-path "$manifest" >"$LOG" 2>&1 && return 0
	grep -q 'requires rustc' "$LOG" && skip "this rustc is too old for the upstream crates"
	fail "$2 does not build" "$LOG"
	return 1
}

prepare() {
	command -v cargo >/dev/null || skip "no cargo here, so no upstream parser to ask"
	LOG=$OUT/build.log
	export CARGO_TARGET_DIR=$OUT/target
	REFEREE=$OUT/target/release/tape-referee
}

# Every tape under folder $1; $2 says what they are.
load_folder() {
	local log=$OUT/load.log cnt

	cnt=$(find "$1" -name '*.tape' -type f 2>/dev/null | wc -l)
	if [ "$cnt" = 0 ]; then
		echo "skip - conformance: no tapes of $2"
		tally__add 0 0 1
		return
	fi
	if find "$1" -name '*.tape' -type f -print0 | xargs -0 timeout 300 "$REFEREE" >"$log" 2>&1; then
		pass "the upstream parser loads the $cnt tapes of $2"
	else
		fail "the upstream parser refuses tapes of $2" "$log"
	fi
}

# It has to refuse what is broken, or its consent means nothing.
broken_is_refused() {
	printf 'TAPEFILE\0\1\24\0\0\0\0\0%16s\42\23\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0' '' >"$OUT/broken.tap"
	if "$REFEREE" "$OUT/broken.tap" >"$OUT/load.log" 2>&1; then
		fail "the upstream parser takes an exit of a span that was never opened"
	else
		pass "a broken tape is refused"
	fi
}

unit_tapes() {
	local tapes=$OUT/tapes program

	rm -rf "$tapes"
	mkdir -p "$tapes"
	for program in test_tape_sink test_tape_writer; do
		program=$B/tests/unit/tape/$program
		[ -x "$program" ] || continue
		KEEP_TAPES=$tapes timeout 120 "$program" >"$OUT/unit.log" 2>&1 ||
			fail "$program, run for its tapes" "$OUT/unit.log"
	done
	load_folder "$tapes" "the unit tests"
}

# The other way round: what the upstream recorder writes, our readers read.
upstream_tape() {
	local dir=$OUT/upstream tape line

	build recorder tape-maker || return
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && timeout 60 "$OUT/target/release/tape-maker") >"$OUT/maker.log" 2>&1 ||
		{ fail "the upstream recorder wrote no tape" "$OUT/maker.log"; return; }
	tape=$(find "$dir" -name '*.tape' | head -n 1)
	if ! [ -x ./tapebpf ]; then
		echo "skip - conformance: ./tapebpf is not built, nobody reads the upstream recorder's tape"
		tally__add 0 0 1
	elif line=$(./tapebpf verify "$tape" 2>&1) && [[ $line == *" 103 spans, 54 events, 3 threads"* ]]; then
		pass "tapebpf verify finds the 103 spans and 54 events of the upstream recorder"
	else
		echo "$line" | sed 's/^/    /'
		fail "tapebpf verify on a tape of the upstream recorder"
	fi
}

mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) && B=$(cd "$B" && pwd) || exit 1
go_traces "$@"
pictures_in_a_browser
prepare
if build upstream tape-referee; then
	broken_is_refused
	unit_tapes
	for folder; do
		load_folder "$folder" "$(basename "$folder")"
	done
fi
upstream_tape
fold_referees
tally__close
