# SPDX-License-Identifier: MIT
#
# go_traces.sh - sourced by run.sh: do the readers of Go take our Go traces, and find in them what the programs did?
#
# The referee is tests/conformance/gotrace (golang.org/x/exp/trace, pinned); then `go tool trace` of the Go that is here, and of
# older ones, if the go command gets them; and gotraceui's parser, pinned too, or that of a checkout: GOTRACEUI=FOLDER.

GO_SEEDS=${GO_SEEDS:-1000}
GO_OLDER="go1.22.12 go1.23.12 go1.25.3"

go_traces__skip() {
	echo "skip - conformance: $1"
	tally__add 0 0 1
}

# Referee in folder $1 becomes program $2. 0 built, 1 not, and said.
go_traces__build() {
	local dir=$1 log=$OUT/go_build.log

	if ! (cd "$dir" && timeout 300 go mod download) >"$log" 2>&1; then
		go_traces__skip "what the referee of Go traces is built from cannot be fetched: $(tail -n 1 "$log")"
		return 1
	fi
	(cd "$dir" && timeout 300 go build -o "$2" .) >"$log" 2>&1 && return
	fail "the referee of Go traces does not build" "$log"
	return 1
}

# Files of folder $1; $2 says what they are.
go_traces__judge() {
	local log=$OUT/go_judge.log cnt

	cnt=$(find "$1" -name '*.trace' | wc -l)
	if [ "$cnt" = 0 ]; then
		go_traces__skip "no Go traces of $2"
	elif find "$1" -name '*.trace' -print0 | sort -z | xargs -0 -n 2000 timeout 300 "$GO_REFEREE" >"$log" 2>&1; then
		pass "golang.org/x/exp/trace reads the $cnt Go traces of $2"
	else
		fail "golang.org/x/exp/trace refuses Go traces of $2, or finds something else in them" "$log"
	fi
}

# Its consent means nothing if it takes everything.
go_traces__broken() {
	local dir=$OUT/go_broken

	rm -rf "$dir" && mkdir -p "$dir"
	cp "$OUT/go_random/1.trace" "$dir/header.trace"
	printf 'go 1.24' | dd of="$dir/header.trace" conv=notrunc status=none
	cp "$OUT/go_random/1.trace" "$dir/log.trace"
	cp "$OUT/go_random/1.truth" "$dir/log.truth"
	printf 'log\tthr0\tINFO x\tnever said\t1\n' >>"$dir/log.truth"
	cp "$OUT/go_random/1.trace" "$dir/time.trace"
	sed '/^region\t.*\t0$/s/\t\([0-9]*\)\t\([0-9]*\)\t0\t0$/\t9\1\t\2\t0\t0/' "$OUT/go_random/1.truth" >"$dir/time.truth"
	# the first byte behind the header says that a batch follows
	cp "$OUT/go_random/1.trace" "$dir/batch.trace"
	printf '\7' | dd of="$dir/batch.trace" bs=1 seek=16 conv=notrunc status=none
	if [ "$(for f in "$dir"/*.trace; do "$GO_REFEREE" "$f"; done | grep -c ' 1 refused or wrong')" = 4 ]; then
		pass "a broken Go trace is refused, and one that says something else than the truth"
	else
		fail "the referee of Go traces takes what is broken"
	fi
}

go_traces__random() {
	rm -rf "$OUT/go_random" && mkdir -p "$OUT/go_random"
	if timeout 120 "$GO_GENERATOR" "$OUT/go_random" 1 "$GO_SEEDS" >"$OUT/go_random.log" 2>&1; then
		go_traces__judge "$OUT/go_random" "random programs (times, tasks, logs and threads as they were)"
	else
		fail "random programs do not become Go traces" "$OUT/go_random.log"
	fi
}

# Hostile calls: nothing in them is checked but that they are read.
go_traces__hostile() {
	local program=$B/tests/unit/gotrace/test_gotrace_hostile

	[ -x "$program" ] || { go_traces__skip "test_gotrace_hostile is not built"; return; }
	rm -rf "$OUT/go_hostile" && mkdir -p "$OUT/go_hostile"
	KEEP_TRACES=$OUT/go_hostile timeout 120 "$program" >"$OUT/go_hostile.log" 2>&1 ||
		fail "test_gotrace_hostile, run for its traces" "$OUT/go_hostile.log"
	go_traces__judge "$OUT/go_hostile" "hostile calls"
}

# What the other tests recorded, exported.
go_traces__tapes() {
	local tape n=0

	rm -rf "$OUT/go_tapes" && mkdir -p "$OUT/go_tapes"
	for folder; do
		while IFS= read -r -d '' tape; do
			n=$((n + 1))
			# a tape may be damaged; its trace must be sound all the same
			timeout 60 ./tapebpf export -q -f go -o "$OUT/go_tapes/$n.trace" "$tape" 2>/dev/null
		done < <(find "$folder" -name '*.tape' -type f -size -4M -print0 2>/dev/null | sort -z | head -z -n 100)
	done
	go_traces__judge "$OUT/go_tapes" "exported tapes"
}

# `go tool trace` of toolchain $1 on a few files of header $2.
go_traces__tool() {
	local toolchain=$1 d=parsed n log=$OUT/go_tool.log version

	if ! version=$(GOTOOLCHAIN=$toolchain timeout 200 go env GOVERSION 2>"$log"); then
		go_traces__skip "no $toolchain to be had: $(tail -n 1 "$log")"
		return
	fi
	case $version in go1.22*|go1.23*) d=2 ;; esac
	for n in $2; do
		if ! GOTOOLCHAIN=$toolchain timeout 100 go tool trace -d=$d "$OUT/go_random/$n.trace" >/dev/null 2>"$log"; then
			fail "go tool trace of $version refuses random program $n" "$log"
			return
		fi
	done
	pass "go tool trace of $version reads what random programs became"
}

go_traces__gotraceui() {
	local dir=tests/conformance/gotraceui

	if [ -n "${GOTRACEUI:-}" ]; then
		rm -rf "$OUT/go_gotraceui" && cp -r "$dir" "$OUT/go_gotraceui" || return
		dir=$OUT/go_gotraceui
		(cd "$dir" && go mod edit -replace "honnef.co/go/gotraceui=$(realpath "$GOTRACEUI")" && timeout 300 go mod tidy) \
			>"$OUT/go_build.log" 2>&1
	fi
	go_traces__build "$dir" "$OUT/gotraceui-referee" || return
	if find "$OUT/go_random" -name '*.trace' -print0 | xargs -0 timeout 300 "$OUT/gotraceui-referee" >"$OUT/go_judge.log" 2>&1; then
		pass "gotraceui's parser reads what random programs became"
	else
		fail "gotraceui's parser refuses Go traces" "$OUT/go_judge.log"
	fi
}

# go_traces [FOLDER of tapes...]
go_traces() {
	local toolchain

	GO_GENERATOR=$B/tests/conformance/gen_gotrace
	GO_REFEREE=$OUT/gotrace-referee
	command -v go >/dev/null || { go_traces__skip "no go here, so no reader of Go traces to ask"; return; }
	[ -x "$GO_GENERATOR" ] || { go_traces__skip "$GO_GENERATOR is not built"; return; }
	go_traces__build tests/conformance/gotrace "$GO_REFEREE" || return
	go_traces__random
	go_traces__broken
	go_traces__hostile
	[ -x ./tapebpf ] && [ $# != 0 ] && go_traces__tapes "$@"
	[ -d "$B/e2e" ] && go_traces__judge "$B/e2e" "the end-to-end tests"
	# every fourth has header 1.26
	go_traces__tool local "1 2 4 5"
	for toolchain in $GO_OLDER; do
		go_traces__tool "$toolchain" "1 2 4 5"
	done
	go_traces__gotraceui
}
