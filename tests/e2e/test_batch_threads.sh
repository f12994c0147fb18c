#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Threads: very many, very idle, very fast; deep stacks, long pauses, and rings too small for what comes.
. "$(dirname "$0")/batch_lib.sh"

THREADS=10000
[ -z "${TEST_QUICK:-}" ] || THREADS=1000

ten_thousand()
{
	need_root
	traced th_threads $THREADS truth
	assert_eq "the target's result" $((3 * THREADS * (THREADS - 1) / 2)) "$(cat target.out)"
	assert_all
	assert_eq "names" $THREADS "$(sed -n 's/.*"type":"thread".*"thread_name":"\(worker-[0-9]*\)".*/\1/p' t.json | sort -u | wc -l)"
}

# A thousand of them alive at once.
a_thousand_at_once()
{
	need_root
	ulimit -l 8192 2>/dev/null
	traced th_threads 1000 truth 1000
	assert_all
}

flat_out()
{
	need_root
	start_record -b "$TARGETS/th_flat" --ring-size 64M
	start_target th_flat 4 50000 truth
	wait_target
	stop_record
	assert_eq "the target's result" "200000 34999300000" "$(cat target.out)"
	assert_all
	assert_eq "spans below the four that stay open" 200000 \
		"$(count '"type":"span_open"' '"name":"step"' '"parent":[0-9]')"
}

# What is lost is counted to the record, and the rest is where it belongs.
tiny_ring()
{
	need_root
	start_record -b "$TARGETS/th_flat" --ring-size 4096
	start_target th_flat 2 200000 truth
	wait_target
	stop_record
	assert_eq "the target's result" "400000 279998600000" "$(cat target.out)"
	assert_exact
	"$TARGETS/truth_check" truth >check.out
	assert_eq "emitted" "$(truth committed)" "$(total emitted)"
	assert_ge "some were lost" 1 "$(total lost)"
	dump
	"$TARGETS/truth_check" truth t.json >check.out
	assert_eq "twice" 0 "$(truth twice)"
	assert_eq "never made" 0 "$(truth beyond)"
	assert_verified
}

deep()
{
	need_root
	traced th_deep deep truth 100
	assert_all
	# Every level lies in the one above it: one root, and no two with the same parent.
	assert_eq "levels" 100 "$(count '"type":"span_open"' '"name":"level"')"
	assert_eq "parents" 99 "$(sed -n 's/.*"span_open".*"parent":\([0-9][0-9]*\).*"name":"level".*/\1/p' t.json | sort -u | wc -l)"
}

# Deeper than the header follows: the rest of the thread's life is not touched by it.
too_deep()
{
	need_root
	traced th_deep deep truth 5000
	assert_exact
	assert_eq "spans" 4094 "$(count '"type":"span_open"' '"name":"level"')"
	assert_eq "events at the bottom" 500 "$(count '"type":"event"' '"name":"bottom"')"
	assert_eq "the span afterwards is a root" 1 "$(count '"type":"span_open"' '"name":"after"' '"parent":null')"
	assert_match "it is said" 'deep' record.err
	assert_verified
}

# More than 2^32 ticks between two records.
long_pause()
{
	need_root
	traced th_deep pause truth 3000
	assert_eq "the target's result" done "$(cat target.out)"
	assert_all
	ns=$(sed -n 's/.*"span_close".*"name":"long".*"duration_ns":\([0-9]*\).*/\1/p' t.json)
	assert_ge "its length" 3000000000 "$ns"
	assert_ge "and not much more" "$ns" 13000000000
}

# A partly filled page that nobody touches: read from outside, then its thread is killed.
idle()
{
	need_root
	traced th_deep idle truth 600
	assert_eq "the target's status" 137 "$TARGET_STATUS"
	assert_all
}

run_test ten_thousand
run_test a_thousand_at_once
run_test flat_out
run_test tiny_ring
run_test deep
run_test too_deep
run_test long_pause
run_test idle
