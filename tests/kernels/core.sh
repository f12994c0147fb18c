#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: core
#
# The core of the end-to-end suite, for guests that are emulated: there a recorder takes seconds to start, as the verifier is emulated
# too, while the targets run at a bearable pace. So few recorders, each with many targets. Every test
# compares what is on the tape with what the targets say of themselves.
#
# All of it holds on every kernel; where a kernel has less (5.10: no BPF cookies, no sleepable programs, no uprobe_multi), other ways
# must give the same result. Which are in use, and what is missing, is said by the lines "# doctor".
. "$(dirname "$0")/batch_lib.sh"

# run_target STATUS NAME ARGS...: to its end, its output added to targets.out.
run_target()
{
	want=$1
	target=$2
	shift 2
	status=0
	"$TARGETS/$target" "$@" >>targets.out 2>>target.err </dev/null || status=$?
	assert_eq "status of $target ${1:-}" "$want" $status
}

# The built-in probes must arrive whatever ways this kernel offers; 100 of 100 each.
doctor()
{
	need_root
	"$TAPEBPF" doctor >doctor.out 2>&1 || fail "doctor: $(cat doctor.out)"
	assert_match "a tape.h probe" '^ok +tape[.]h probe +100 of 100' doctor.out
	assert_match "a plain probe" '^ok +plain USDT probe +100 of 100' doctor.out
	for what in 'attaching' 'killed threads' 'exec'; do
		assert_match "$what" "^(ok|note) +$what +by (uprobe_multi|tracefs|perf|tp_btf|fentry|kprobe)" doctor.out
	done
	# what this kernel has not is said, and what would help
	assert_eq "notes without a remedy" 0 "$(awk 'note && !/->/ { n++ } { note = /^note/ } END { print n + note }' doctor.out)"
}

# Every form of argument, a text among them, and pairs: two programs, one recorder.
plain_probes()
{
	need_root
	start_record -b "$TARGETS/usdt_args" -b "$TARGETS/usdt_pairs" --sig 'shop:texts(str path, str body:len, i32 len)'
	run_target 0 usdt_args 100
	run_target 0 usdt_pairs 3
	stop_record
	assert_eq "the targets' results" "100 328350 36" "$(echo $(cat targets.out))"
	for probe in none four sizes twelve stap guarded texts; do
		assert_eq "hits of $probe" 100 "$(count '"type":"event"' "\"name\":\"$probe\"")"
	done
	assert_eq "sizes and signs" 100 "$(count '"name":"sizes"' '"arg0":-1[,}]' '"arg1":200[,}]' '"arg2":-3000[,}]' \
		'"arg3":60000[,}]' '"arg4":-70000[,}]' '"arg5":-5000000000[,}]')"
	assert_eq "twelve constants" 100 "$(count '"name":"twelve"' '"arg0":1[,}]' '"arg11":12[,}]')"
	assert_eq "registers" 1 "$(count '"name":"four"' '"arg0":41[,}]' '"arg3":44[,}]')"
	assert_eq "symbol, constants" 100 "$(count '"name":"symbol"' '"arg0":-2048[,}]' '"arg1":-9[,}]' '"arg2":16[,}]')"
	assert_eq "scale, index, base" 100 "$(count '"name":"sib"' '"arg0":22[,}]' '"arg1":33[,}]' '"arg2":18[,}]')"
	assert_eq "one unreadable argument" 100 "$(count '"name":"half"' '"arg0":5[,}]' '"arg2":-6[,}]')"
	assert_eq "texts" 1 "$(count '"name":"texts"' '"path":"a path"' '"body":"body 7"' '"len":6[,}]')"
	assert_eq "spans of pairs" 18 "$(count '"type":"span_open"')"
	assert_match "pairs" '18 begins, 12 ends, 3 abandoned, 3 ends without begin, 3 begins without end' record.err
	assert_lossless
	assert_verified
}

# tape.h: flat out on threads, deep, by hand and out of order, every type, records larger than a page.
tape_h()
{
	need_root
	start_record -b "$TARGETS/th_flat" -b "$TARGETS/th_deep" -b "$TARGETS/th_tree" -b "$TARGETS/th_types" \
		-b "$TARGETS/th_threads" --ring-size 32M
	run_target 0 th_flat 3 3000 truth
	run_target 0 th_deep deep truth 60
	run_target 0 th_threads 300 truth 100
	run_target 0 th_tree
	run_target 0 th_types
	stop_record
	assert_eq "the targets' results" "9000 94468500 done 134550 done done" "$(echo $(cat targets.out))"
	assert_lossless
	check_truth
	assert_eq "levels, one in the other" 59 \
		"$(sed -n 's/.*"span_open".*"parent":\([0-9][0-9]*\).*"name":"level".*/\1/p' t.json | sort -u | wc -l)"
	assert_eq "spans left by longjmp" 4 "$(count '"type":"span_close"' '"name":"jumped_over"' 'abandoned')"
	assert_eq "values that come later" 1 "$(count '"type":"span_value"' '"rows":77')"
	assert_eq "types" 1 "$(count '"name":"scalars"' '"i":-70000[,}]' '"l":-5000000000[,}]' '"d":-2.25[,}]')"
	assert_eq "cut and flagged" 1 "$(count '"name":"cut256"' 'truncated')"
	assert_eq "larger than a page, whole" 1 "$(awk '/"type":"event".*"name":"fits4096"/ && !/truncated/ && length > 4096' t.json | wc -l)"
	assert_verified
}

# die STATUS WAY: three threads with five hundred records and an open span each.
die()
{
	run_target "$1" th_exit "$2" truth 500 2
}

# roads: by every road by which threads and processes end, exec among them; then SIGKILL in the middle of it.
roads()
{
	need_root
	ulimit -c 0
	start_record -b "$TARGETS/th_exit" -b "$TARGETS/th_flat" --ring-size 32M
	die 4 return
	die 5 exit
	die 5 exit_thread
	die 6 _exit
	die 134 abort
	die 139 segv
	die 137 kill
	die 143 term
	die 0 pthread_exit
	die 4 exec
	die 4 exec_thread
	die 4 exec_fail
	status=0
	"$TARGETS/th_exit" exec_doomed truth 500 2 >>targets.out 2>&1 || status=$?
	assert_ge "killed in the middle of exec" 129 $status
	sh -c "'$TARGETS/th_exit' return truth 100 1; exec '$TARGETS/th_flat' 2 500 truth" >>targets.out
	for round in 1 2 3 4; do
		start_target th_flat 4 0 truth 2000
		sleep 0.2
		kill -KILL "$TARGET"
		wait_target
		assert_eq "killed" 137 "$TARGET_STATUS"
	done
	stop_record
	assert_complete
	# Only the sixteen threads that were killed in mid-flight are in doubt, by one record each.
	assert_ge "in doubt" $(($(truth intended) - $(truth committed))) 16
}
dying() { roads; }

# The same by the next hooks that this kernel has, as kernels differ in which of them are left out.
dying_without_fentry()
{
	# with sched_process_exit before exit_mm there is nothing to fall back to
	need_root
	"$TAPEBPF" doctor 2>/dev/null | grep -q fentry || skip "fentry is not what is used here"
	export TAPEBPF_DISABLE=fentry
	roads
}

forking()
{
	need_root
	start_record -b "$TARGETS/th_fork" -b "$TARGETS/th_exit" --ring-size 32M
	for how in fork nested exec vfork vfork_exec spawn vfork_first; do
		run_target 0 th_fork $how truth 6 "$TARGETS/th_exit"
	done
	stop_record
	assert_eq "children of the last ones" "6 1" "$(echo $(grep -v done targets.out | tail -n 2))"
	assert_all
	assert_eq "children's spans, not below their parent's" 18 "$(count '"type":"span_open"' '"name":"child"' '"parent":null')"
	assert_eq "grandchildren's" 6 "$(count '"type":"span_open"' '"name":"grandchild"')"
}

# complete_from FILE: each thread's records on the tape begin no later than FILE (a truth_check) says and have no gap.
complete_from()
{
	rm -f t.json
	assert_exact
	assert_total lost 0
	check_truth -w
	assert_eq "threads seen" 2 "$(awk '/^slot / && $12 > 0' check.out | wc -l)"
	assert_eq "threads seen from the start" 2 \
		"$(awk '/^slot / { if (NR == FNR) at[$2] = $10; else if ($14 <= at[$2] + 1) n++ } END { print n + 0 }' "$1" check.out)"
}

# complete_to FILE: ... and end no earlier.
complete_to()
{
	assert_eq "threads seen to the end" 2 \
		"$(awk '/^slot / { if (NR == FNR) at[$2] = $10; else if ($16 >= at[$2]) n++ } END { print n + 0 }' "$1" check.out)"
}

# Attached to a running program, detached, attached again, and the program killed.
late()
{
	need_root
	start_target th_flat 2 0 truth 20000
	sleep 0.3
	start_record -p "$TARGET"
	"$TARGETS/truth_check" truth >at_start
	sleep 0.7
	"$TARGETS/truth_check" truth >at_end
	stop_record
	complete_from at_start
	complete_to at_end
	assert_verified
	start_record --force -p "$TARGET"
	"$TARGETS/truth_check" truth >at_start
	sleep 0.7
	kill -KILL "$TARGET"
	wait_target
	wait_record
	"$TARGETS/truth_check" truth >at_end
	complete_from at_start
	complete_to at_end
	assert_verified
}

# Rings too small for what comes, both ways in: what is lost is counted to the record.
tiny_ring()
{
	need_root
	start_record -b "$TARGETS/th_flat" -b "$TARGETS/usdt_flat" --ring-size 4096
	run_target 0 th_flat 2 30000 truth
	run_target 0 usdt_flat 2 15000
	stop_record
	assert_exact
	"$TARGETS/truth_check" truth >check.out
	assert_eq "emitted" $(($(truth committed) + 30000)) "$(total emitted)"
	assert_ge "some were lost" 1 "$(total lost)"
	dump
	"$TARGETS/truth_check" truth t.json >check.out
	assert_eq "twice" 0 "$(truth twice)"
	assert_eq "never made" 0 "$(truth beyond)"
	assert_verified
}

run_test doctor
grep -E '^note|^ok +(attaching|killed threads|exec) ' "$E2E_OUT/$SUBJECT/doctor/doctor.out" | sed 's/^[a-z]* */# doctor: /; s/   */: /'
run_test plain_probes
run_test tape_h
run_test dying
run_test dying_without_fentry
run_test forking
run_test late
run_test tiny_ring
