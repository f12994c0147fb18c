#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shared objects that each include the header: loaded together, loaded and unloaded again and again.
. "$(dirname "$0")/batch_lib.sh"

ROUNDS=300
[ -z "${TEST_QUICK:-}" ] || ROUNDS=50

# loads HOW ROUNDS LIB...
loads()
{
	need_root
	need_target th_dso
	how=$1
	rounds=$2
	start_record -b "$TARGETS/th_dso" -b "$TARGETS/th_dso_a.so" -b "$TARGETS/th_dso_b.so"
	shift 2
	start_target th_dso "$how" truth "$rounds" "$@"
	wait_target
	stop_record
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	assert_eq "the target's result" "$rounds" "$(cat target.out)"
	assert_all
}

# Calls back and forth between three modules. Their pages are ordered by their clocks; spans of one call must not cut those of another.
together()
{
	loads calls $ROUNDS "$TARGETS/th_dso_a.so" "$TARGETS/th_dso_b.so"
	assert_eq "providers" 3 "$(sed -n 's/.*"type":"callsite".*"target":"\([a-z_]*\)".*/\1/p' t.json | sort -u | wc -l)"
	assert_eq "spans below those of the program" $((ROUNDS * 6)) \
		"$(count '"type":"span_open"' '"name":"part"' '"parent":[0-9]')"
	# Only where two ends bear the same tick: some CPUs count in steps of 10 ns.
	assert_ge "few are closed by the end around them" "$(count '"type":"span_close"' 'abandoned')" $((ROUNDS / 4))
}

again_and_again() { loads loop $ROUNDS "$TARGETS/th_dso_a.so"; }
on_threads() { loads threads $ROUNDS "$TARGETS/th_dso_b.so"; }


# A library that nobody has named, and that is unmapped again before the recorder can look (it stands still): found by its name, and
# recorded when it comes again.
loaded_for_a_moment()
{
	need_root
	need_target th_dso
	start_record -v -b "$TARGETS/th_dso"
	kill -STOP "$RECORDER"
	start_target th_dso later truth 5 "$TARGETS/th_dso_a.so"
	wait_until 10 grep -q once target.out || fail "the target did not get through the first round"
	kill -CONT "$RECORDER"
	wait_until 20 grep -q 'th_dso_a.so: .*callsites' record.err || fail "the library was not looked at"
	: >go
	wait_target
	stop_record
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	assert_ge "spans of the library" 1 "$(count '"type":"span_open"' '"name":"part"')"
}

# A thread that outlives more libraries than the kernel side keeps pages of for a thread; what each leaves behind makes room.
outlived() { loads outlived 150 "$TARGETS/th_dso_a.so"; }

# The thread that closes a library traces in its last destructors, after which nothing of it may be called.
closers() { loads closers 30 "$TARGETS/th_dso_a.so"; }

# Forty modules with pages on one thread, which is killed.
forty()
{
	need_root
	need_target th_dso
	libs=
	for i in $(seq 40); do
		cp "$TARGETS/th_dso_a.so" "lib$i.so"
		libs="$libs $WORK/lib$i.so"
	done
	start_record -b "$TARGETS/th_dso" $(for l in $libs; do echo "-b $l"; done)
	start_target th_dso all_kill truth 1 $libs
	wait_target
	stop_record
	assert_eq "the target's status" 137 "$TARGET_STATUS"
	assert_eq "spans" 121 "$(count '"type":"span_open"')"
	assert_all
}

run_test together
run_test again_and_again
run_test on_threads
run_test loaded_for_a_moment
run_test outlived
run_test closers
run_test forty
