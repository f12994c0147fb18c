#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Plain sys/sdt.h probes: every hit, every argument form, signatures, pairs.
. "$(dirname "$0")/lib.sh"

# A target that waits on its standard input until `release`.
held_target()
{
	need_root
	name=$1
	shift
	need_target "$name"
	mkfifo "$WORK/hold"
	"$TARGETS/$name" "$@" <"$WORK/hold" >"$WORK/target.out" 2>"$WORK/target.err" &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	exec 9>"$WORK/hold"
}

release()
{
	echo >&9
	exec 9>&-
}

every_form()
{
	held_target usdt_args 100 hold
	"$TAPEBPF" list "$TARGET" >list.txt || fail "list: status $?"
	start_record -p "$TARGET"
	release
	wait_target
	wait_record
	assert_eq "the target's result" "100 328350" "$(cat target.out)"
	for probe in none four sizes twelve stap floats guarded texts; do
		assert_eq "hits of $probe" 100 "$(count '"type":"event"' "\"name\":\"$probe\"")"
	done
	assert_eq "sizes and signs" 100 "$(count '"name":"sizes"' '"arg0":-1[,}]' '"arg1":200[,}]' '"arg2":-3000[,}]' \
		'"arg3":60000[,}]' '"arg4":-70000[,}]' '"arg5":-5000000000[,}]')"
	if grep -q 'floats.* f64 (8f@' list.txt; then # older versions of sys/sdt.h call them integers
		assert_eq "floating point" 1 "$(count '"name":"floats"' '"arg0":7.5[,}]' '"arg1":-0.25[,}]' '"arg2":3[,}]')"
		assert_eq "floating point, zero" 1 "$(count '"name":"floats"' '"arg0":0.0[,}]' '"arg1":-0.25[,}]')"
	fi
	assert_eq "twelve constants" 100 "$(count '"name":"twelve"' '"arg0":1[,}]' '"arg11":12[,}]')"
	assert_eq "registers" 1 "$(count '"name":"four"' '"arg0":41[,}]' '"arg3":44[,}]')"
	assert_eq "target" 100 "$(count '"type":"event"' '"name":"none"' '"target":"shop"' '"level":"INFO"')"
	if [ "$(uname -m)" = x86_64 ]; then
		assert_eq "symbol, constants" 100 \
			"$(count '"name":"symbol"' '"arg0":-2048[,}]' '"arg1":-9[,}]' '"arg2":16[,}]')"
		assert_eq "scale, index, base" 100 \
			"$(count '"name":"sib"' '"arg0":22[,}]' '"arg1":33[,}]' '"arg2":18[,}]')"
		assert_eq "one unreadable argument" 100 "$(count '"name":"half"' '"arg0":5[,}]' '"arg2":-6[,}]')"
		assert_eq "it is left out" 0 "$(count '"name":"half"' '"arg1":')"
	fi
	assert_eq "emitted" "$(total emitted)" "$(total stored)"
	assert_verified
}

signatures()
{
	held_target usdt_args 10 hold
	start_record -p "$TARGET" --sig 'shop:texts(str path, str body:len, i32 len)' --sig 'shop:four(u64 i, _ unused, i32 two)' \
		--sig 'shop:floats(f64 d, f32 f, f64 i)'
	release
	wait_target
	wait_record
	assert_eq "texts" 1 "$(count '"name":"texts"' '"path":"a path"' '"body":"body 7"' '"len":6[,}]')"
	assert_eq "names and gaps" 1 "$(count '"name":"four"' '"i":3[,}]' '"two":5[,}]')"
	assert_eq "floating point" 1 "$(count '"name":"floats"' '"d":7.5[,}]' '"f":-0.25[,}]')"
	assert_eq "left out" 0 "$(count '"unused"')"
	assert_eq "without a parameter" 10 "$(count '"name":"four"' '"arg3":')"
	assert_verified
}

# A slip in a name would go unnoticed: it is told at the start, and at the end.
signatures_that_fit_nothing()
{
	need_root
	printf '# ours\npairs:requst__begin(u64 id)\npairs:note(u64 a)\npairs:request__end(u64 id)\n' >sigs
	run_record --sig @sigs -- "$TARGETS/usdt_pairs" 1 || fail "record: status $?"
	near='no plain probe is called pairs:requst__begin%s; the nearest name is pairs:request__begin$'
	assert_match "at the start" "$(printf "warning: --sig: $near" ' so far')" record.err
	assert_match "at the end" "$(printf "warning: --sig: $near" '')" record.err
	assert_match "too many names" 'warning: --sig: pairs:note has 0 arguments, and its signature names 1$' record.err
	assert_eq "no others" 4 "$(grep -c 'warning: --sig' record.err)"
	"$TAPEBPF" list --sig @sigs "$TARGETS/usdt_pairs" >list.txt 2>list.err || fail "list: status $?"
	assert_eq "list says so too" 2 "$(grep -c 'warning: --sig' list.err)"
}

short_texts()
{
	held_target usdt_args 10 hold
	start_record -p "$TARGET" --max-str 4 --sig 'shop:texts(str path, bytes body:len, _ len)'
	release
	wait_target
	wait_record
	assert_eq "cut and flagged" 10 "$(count '"name":"texts"' '"path":"a pa"' 'truncated')"
	assert_eq "the length that was given is told" 10 "$(count '"name":"texts"' '"truncated":{"path":0,"body":6}')"
}

pairs()
{
	need_root
	run_record -- "$TARGETS/usdt_pairs" 3 || fail "record: status $?"
	assert_eq "the target's result" 36 "$(cat record.out)"
	assert_eq "spans" 18 "$(count '"type":"span_open"')"
	assert_eq "requests" 6 "$(count '"type":"span_open"' '"name":"request"')"
	assert_eq "the note" 3 "$(count '"type":"event"' '"name":"note"')"
	assert_eq "ends without begin" 3 "$(count '"type":"event"' '"name":"parse__done"')"
	assert_match "counts" '18 begins, 12 ends, 3 abandoned, 3 ends without begin, 3 begins without end' record.err
	assert_eq "emitted" "$(total emitted)" "$(total stored)"
	assert_verified
}

# The begin in the program and the end in a library, and the other way round.
pairs_across_files()
{
	need_root
	[ -x "$TARGETS/usdt_halves" ] || skip "targets are static here: no library to load"
	held_target usdt_halves "$TARGETS/usdt_halves.so" 10
	wait_until 10 grep -q usdt_halves.so "/proc/$TARGET/maps" || fail "the library was not loaded"
	start_record -p "$TARGET"
	release
	wait_target
	wait_record
	assert_eq "the target's result" 10 "$(cat target.out)"
	assert_eq "spans" 20 "$(count '"type":"span_open"')"
	assert_eq "begun in the program" 10 "$(count '"type":"span_open"' '"name":"order"')"
	assert_eq "begun in the library" 10 "$(count '"type":"span_open"' '"name":"answer"')"
	assert_eq "an end's argument" 1 "$(count '"end_arg0":14[,}]')"
	assert_match "counts" '20 begins, 20 ends, 0 abandoned, 0 ends without begin, 0 begins without end' record.err
	assert_verified
}

no_pairs()
{
	need_root
	run_record --no-pairs -- "$TARGETS/usdt_pairs" 2 || fail "record: status $?"
	assert_eq "spans" 0 "$(count '"type":"span_open"')"
	assert_eq "events" 24 "$(count '"type":"event"')"
}

# As fast as they come, from two threads, with a ring too small: nothing may be unaccounted for.
tiny_ring()
{
	need_root
	run_record --ring-size 4096 -- "$TARGETS/usdt_flat" 2 200000 || fail "record: status $?"
	assert_eq "hits" "$(cut -d' ' -f1 record.out)" "$(total emitted)"
	assert_eq "emitted = stored + lost" "$(total emitted)" $(($(total stored) + $(total lost)))
	assert_eq "events on tape" "$(total stored)" "$(count '"type":"event"')"
	assert_verified
	run_record --force --ring-size 4096 --fail-on-loss -- "$TARGETS/usdt_flat" 2 200000
	assert_eq "exit status with --fail-on-loss" 3 $?
}

# Threads are made with their maker's name, and take their own: each hit has the one of its time.
thread_names()
{
	need_root
	need_target usdt_renamed
	run_record --sig 'renamed:named(i64 i, str who)' -- "$TARGETS/usdt_renamed" || fail "record: status $?"
	assert_lossless
	assert_verified
	assert_eq "early" 10 "$(count '"type":"event"' '"name":"named"' '"who":"early"' '"thread_name":"early"')"
	assert_eq "late" 10 "$(count '"type":"event"' '"name":"named"' '"who":"late"' '"thread_name":"la te.n"')"
	assert_eq "other" 10 "$(count '"type":"event"' '"name":"named"' '"who":"other"' '"thread_name":"other"')"
	assert_eq "before it had a name" 1 "$(count '"type":"event"' '"name":"unnamed"' '"thread_name":"usdt_renamed"')"
	assert_eq "the first thread" 10 "$(count '"type":"event"' '"who":"main"' '"thread_name":"usdt_renamed"')"
}

run_test every_form
run_test thread_names
run_test signatures
run_test signatures_that_fit_nothing
run_test short_texts
run_test pairs
run_test pairs_across_files
run_test no_pairs
run_test tiny_ring
