# SPDX-License-Identifier: MIT
#
# flight.sh - part of `run`: what a flight recorder costs while it keeps, and what a snapshot costs.

# asked KEY: a number of its status.
asked() {
	"$tapebpf" status --json --socket "$out/flight.sock" | sed -n 's/.*"'"$1"'":\([0-9]*\).*/\1/p'
}

# start_flight ARGS...: sets recorder.
start_flight() {
	"$tapebpf" flight --socket "$out/flight.sock" --output-dir "$out" --no-final "$@" >"$out/flight.out" 2>"$out/flight.err" </dev/null 9>&- &
	recorder=$!
	for _ in $(seq 300); do
		grep -q 'recording' "$out/flight.err" && return 0
		kill -0 "$recorder" 2>/dev/null || break
		sleep 0.1
	done
	note "flight: $(tail -n 1 "$out/flight.err")"
	return 1
}

# exec_ns PID: what its threads have run, where the kernel says (CONFIG_SCHED_INFO); else in ticks.
exec_ns() {
	if [ -r "/proc/$1/schedstat" ]; then
		cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'
	else
		cpu_ns "$1"
	fi
}

# The same program as for `record`: the recorder's CPU a record. Of the time in which it records: nobody asks it anything meanwhile.
flight_steady() {
	local target before

	mkfifo "$out/flight.go"
	"$bin/bench_span" flight_span 2000000 <"$out/flight.go" >"$out/flight_span.out" &
	target=$!
	exec 9>"$out/flight.go"
	if start_flight -p $target --ring-size 16M; then
		sleep 0.3
		before=$(exec_ns $recorder)
		echo >&9
		wait_rounds "$out/flight_span.out" $target
		# what is still in the rings is part of the work
		sleep 0.2
		echo "flight.cpu_ns $(($(exec_ns $recorder) - before))" >>"$results"
		echo "flight.records $(asked page_records)" >>"$results"
		echo "flight.bytes $(asked ring_record_bytes)" >>"$results"
		echo "flight.pss_kib $(($(asked pss_bytes) / 1024))" >>"$results"
		cat "$out/flight_span.out" >>"$results"
	fi
	exec 9>&-
	wait $target
	stop
	rm -f "$out/flight.go"
}

# snapshot_peak FORMAT: takes one, and adds what the recorder's memory came to meanwhile.
snapshot_peak() {
	local asker pss peak=0

	"$tapebpf" snapshot --socket "$out/flight.sock" --format "$1" -o "$out/snap.$1" >/dev/null 2>"$out/snap.err" &
	asker=$!
	while kill -0 $asker 2>/dev/null; do
		pss=$(sed -n 's/^Pss: *\([0-9]*\) kB$/\1/p' /proc/$recorder/smaps_rollup)
		[ "${pss:-0}" -le $peak ] || peak=$pss
		sleep 0.02
	done
	wait $asker
	sed -n 's/^emitted .* lost \([0-9]*\)$/flight_flat.lost \1/p' "$out/snap.err" >>"$results"
	echo "flight_flat.peak_$1_mib $((peak / 1024))" >>"$results"
	rm -f "$out/snap.$1"
}

# Two threads flat out, a ring of 64 MiB, snapshots meanwhile.
flight_flat() {
	local target

	start_flight -b "$bin/bench_span" --ring-size 16M --size 64M --period 60s || return
	"$bin/bench_span" flat-out "$seconds" >"$out/flat.out" &
	target=$!
	sleep $((seconds / 2))
	snapshot_peak tape
	snapshot_peak go
	echo "flight_flat.take_ms $(calc "$(asked capture_max_ns) / 1000000")" >>"$results"
	echo "flight_flat.pss_kib $(($(asked pss_bytes) / 1024))" >>"$results"
	wait $target
	stop
}

flight_bench() {
	[ -x "$bin/bench_flight" ] && "$bin/bench_flight" "$out/flight.snap" >>"$results"
	[ "$(id -u)" = 0 ] && [ -x "$tapebpf" ] && [ -x "$bin/bench_span" ] || return 0
	flight_steady
	flight_flat
}

flight_rows() {
	local bytes

	row "flight: keeping a record (copy alone)" "$(median flight_keep_ns)" ns "" "" "<= 2"
	bytes=$(calc "$(median flight.bytes) / $(median flight.records)")
	row "flight: as many cold bytes (${bytes}) past the cache" "$(calc "$(median flight_cold_ns_byte) * $bytes")" ns \
		"$(calc "$(median flight_memcpy_ns_byte) * $bytes")" "a plain memcpy of them"
	row "flight: recorder's CPU a record, tape.h" "$(calc "$(median flight.cpu_ns) / $(median flight.records)")" ns "$(per_record span_on)" \
		"record" "<= 2"
	row "flight: bytes a span in the ring" "$(median flight_bytes_span)" bytes "" "" "<= 22"
	row "flight: taking 64 MiB, idle" "$(median flight_take_ms)" ms
	row "flight: taking 64 MiB, two threads flat out" "$(median flight_flat.take_ms)" ms "" "" "<= 20"
	row "flight: PSS, a snapshot of 64 MiB being written as tape" "$(median flight_flat.peak_tape_mib)" MiB "" "" "<= 176"
	row "flight: PSS, ... as Go trace" "$(median flight_flat.peak_go_mib)" MiB "" "" "<= 176"
	row "flight: lost in snapshots meanwhile" "$(median flight_flat.lost)" records "" "" 0
	row "flight: writing it as a tape, a span" "$(median flight_tape_ns)" ns "" "" "<= 60"
	row "flight: writing it as a Go trace, a span" "$(median flight_go_ns)" ns "" "" "<= 120"
	row "flight: memory (PSS), 10 MiB, rings 16 MiB a CPU" "$(calc "$(median flight.pss_kib) / 1024")" MiB "" "" "<= rings + 10 + 16"
	row "flight: memory (PSS), 64 MiB" "$(calc "$(median flight_flat.pss_kib) / 1024")" MiB "" "" "<= rings + 64 + 16"
}
