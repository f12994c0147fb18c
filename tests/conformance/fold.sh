# SPDX-License-Identifier: MIT
#
# fold.sh - sourced by run.sh: do the crates whose lines we write agree, does inferno take ours, does a browser show our
# pictures? Each part is skipped, with the reason, where what it needs is not there.

skip_part() {
	echo "skip - conformance: $1"
	tally__add 0 0 1
}

# Crate $1, which makes program $2. What cannot be fetched or compiled here is skipped, and the rest goes on.
crate() {
	local manifest=tests/conformance/$1/Cargo.toml

	timeout 300 cargo fetch --quiet --locked --manifest-path "$manifest" >"$LOG" 2>&1 ||
		timeout 60 cargo fetch --quiet --offline --locked --manifest-path "$manifest" >>"$LOG" 2>&1 ||
		{ skip_part "the crates of $2 cannot be fetched: $(tail -n 1 "$LOG")"; return 1; }
	timeout 900 cargo build --quiet --release --offline --locked --manifest-path "$manifest" >"$LOG" 2>&1 && return 0
	grep -q 'requires rustc' "$LOG" && { skip_part "this rustc is too old for the crates of $2"; return 1; }
	fail "$2 does not build" "$LOG"
	return 1
}

# Lines without their numbers, which are other clocks' readings; and without what an upstream tape does not know: the
# name of the one thread.
bare_lines() {
	sed 's/ [0-9]*$//; s/^ThreadId(1)-main/ThreadId(1)/' "$1"
}

# The options of set $1, whose bits are those of the referee.
flame_options() {
	[ $(($1 & 1)) != 0 ] || echo --no-empty-samples
	[ $(($1 & 2)) = 0 ] || echo --threads-collapsed
	[ $(($1 & 4)) != 0 ] || echo --no-module-path
	[ $(($1 & 8)) != 0 ] || echo --no-file-and-line
}

# The same run by tracing-flame and by the upstream tape recorder, with each set of options: the same lines.
tracing_flame() {
	local dir=$OUT/flame set bad=0 tape

	crate flame flame-referee || return
	rm -rf "$dir" && mkdir -p "$dir"
	(cd "$dir" && timeout 60 "$OUT/target/release/flame-referee" run) >"$OUT/flame.log" 2>&1 ||
		{ fail "tracing-flame wrote no lines" "$OUT/flame.log"; return; }
	tape=$(find "$dir" -name '*.tape' | head -n 1)
	: >"$OUT/flame.log"
	for set in $(seq 0 15); do
		./tapebpf flame --folded --order time --style tracing-flame-0.2 $(flame_options "$set") "$tape" >"$dir/$set.ours" 2>>"$OUT/flame.log" || bad=1
		diff <(bare_lines "$dir/$set.folded") <(bare_lines "$dir/$set.ours") >>"$OUT/flame.log" || bad=1
		[ -s "$dir/$set.ours" ] || bad=1
	done
	if [ $bad = 0 ]; then
		pass "tracing-flame 0.2.0 writes our lines, with all 16 option sets"
	else
		fail "tracing-flame 0.2.0 writes other lines" "$OUT/flame.log"
	fi
	inferno_renders "$dir" "$tape"
}

inferno_renders() {
	local dir=$1 tape=$2 bad=0 lines

	: >"$OUT/inferno.log"
	for options in "" "--wall" "--label n" "--style tracing-flame" "--style tracing-flame-0.2" "--diff $tape"; do
		lines=$dir/inferno.folded
		./tapebpf flame --folded $options "$tape" >"$lines" 2>>"$OUT/inferno.log" || bad=1
		"$OUT/target/release/flame-referee" render "$lines" >>"$OUT/inferno.log" 2>&1 || { echo "with $options" >>"$OUT/inferno.log"; bad=1; }
	done
	# it does warn: of two numbers where one is meant
	printf 'a 1\nb x 2 3.5\n' >"$lines"
	"$OUT/target/release/flame-referee" render "$lines" >/dev/null 2>&1 && { echo "inferno has no warning for a fraction" >>"$OUT/inferno.log"; bad=1; }
	[ $bad = 0 ] && pass "inferno renders our lines without a warning" || fail "inferno and our lines" "$OUT/inferno.log"
}

trace_tools() {
	local dir=$OUT/tools tape

	RUSTFLAGS="--cfg tokio_unstable" crate tools tools-referee || return
	rm -rf "$dir" && mkdir -p "$dir"
	(cd "$dir" && timeout 60 "$OUT/target/release/tools-referee") >"$OUT/tools.log" 2>&1 ||
		{ fail "trace-tools wrote no lines" "$OUT/tools.log"; return; }
	tape=$(find "$dir" -name '*.tape' | head -n 1)
	./tapebpf flame --folded --order time --style trace-tools "$tape" >"$dir/ours" 2>"$OUT/tools.log"
	if [ -s "$dir/ours" ] && diff <(bare_lines "$dir/stacks.folded") <(bare_lines "$dir/ours") >>"$OUT/tools.log"; then
		pass "trace-tools 0.3.0 writes our lines"
	else
		fail "trace-tools 0.3.0 writes other lines" "$OUT/tools.log"
	fi
}

# Our pictures in a real browser, driven by mouse and keyboard. Needs no cargo.
pictures_in_a_browser() {
	local dir=$OUT/browser program chromium top=$PWD

	[ -x ./tapebpf ] || { skip_part "./tapebpf is not built: no pictures to show"; return; }
	for program in chromium chromium-browser google-chrome; do
		chromium=$(command -v $program) && break
	done
	[ -n "${chromium:-}" ] || { skip_part "no chromium here, so nobody to show pictures to"; return; }
	command -v npm >/dev/null && command -v node >/dev/null || { skip_part "no node and npm here to drive chromium"; return; }
	[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || { skip_part "playwright-core wants node 18, this is $(node --version)"; return; }
	mkdir -p "$dir" && cp tests/conformance/browser/* "$dir" || return
	if ! [ -d "$dir/node_modules/playwright-core" ]; then
		(cd "$dir" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund) >"$OUT/npm.log" 2>&1 ||
			{ skip_part "playwright-core cannot be fetched: $(tail -n 1 "$OUT/npm.log")"; return; }
	fi
	(cd "$dir" && TAPEBPF=$top/tapebpf CHROMIUM=$chromium timeout 300 node drive.js) >"$OUT/browser.log" 2>&1
	grep -E '^((not )?ok - |    )' "$OUT/browser.log"
	tally__add "$(grep -c '^ok - ' "$OUT/browser.log")" "$(grep -c '^not ok - ' "$OUT/browser.log")" 0
	grep -q '^done$' "$OUT/browser.log" || fail "the browser's tests did not get to their end" "$OUT/browser.log"
}

fold_referees() {
	if ! [ -x ./tapebpf ]; then
		skip_part "./tapebpf is not built: nothing to compare with the flame-graph layers"
		return
	fi
	tracing_flame
	trace_tools
}
