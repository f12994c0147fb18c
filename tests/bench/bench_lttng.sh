#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench_lttng.sh PROGRAM - run PROGRAM under LTTng-UST in snapshot mode; exit status 77 with a reason where it cannot be.
set -u

skip() {
	echo "$*" >&2
	exit 77
}

command -v lttng >/dev/null && command -v lttng-sessiond >/dev/null || skip "lttng-tools is not installed"
[ -x "$1" ] || skip "bench_lttng was not built: liblttng-ust-dev is not installed"
home=$(mktemp -d) session=tapebpf-bench-$$ daemon=
export LTTNG_HOME=$home

finish() {
	lttng destroy "$session" >/dev/null 2>&1
	[ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
	rm -rf "$home"
}
trap finish EXIT

if ! lttng --no-sessiond list >/dev/null 2>&1; then
	lttng-sessiond --no-kernel >/dev/null 2>&1 &
	daemon=$!
	for _ in $(seq 100); do
		lttng --no-sessiond list >/dev/null 2>&1 && break
		sleep 0.1
	done
fi
{
	lttng create "$session" --snapshot && lttng enable-event -u tapebpf_bench:hit -s "$session" && lttng start "$session"
} >"$home/log" 2>&1 || skip "LTTng did not start: $(tail -n 1 "$home/log")"
# The tracepoint must be recording from the first round on.
LTTNG_UST_REGISTER_TIMEOUT=-1 "$1" lttng_hit
