#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# Who lies below whom: spans by hand on several threads, explicit parents, spans left by longjmp and pthread_exit, fields of all
# types. th_tree and th_types give everything a name of its own.
. "$(dirname "$0")/batch_lib.sh"

# span_id NAME: number of the span; parent NAME: its parent's, or null; on NAME: the span an event lies in.
span_id() { sed -n 's/.*"type":"span_open".*"span":\([0-9]*\),"parent".*"name":"'"$1"'".*/\1/p' t.json | head -n 1; }
parent() { sed -n 's/.*"type":"span_open".*"parent":\([0-9a-z]*\),.*"name":"'"$1"'".*/\1/p' t.json | tail -n 1; }
on() { sed -n 's/.*"type":"event".*"name":"'"$1"'".*"span":\([0-9a-z]*\),.*/\1/p' t.json; }

assert_below() { assert_eq "parent of $1" "$(span_id "$2")" "$(parent "$1")"; }
assert_root() { assert_eq "parent of $1" null "$(parent "$1")"; }
assert_in() { assert_eq "span of $1" "$(span_id "$2")" "$(on "$1")"; }

tree()
{
	need_root
	traced th_tree
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	assert_eq "the target's result" done "$(cat target.out)"
	assert_lossless
	assert_verified
	dump
}

by_hand()
{
	tree
	assert_below job hand_outer
	assert_root other
	assert_below child job
	assert_in event_in_other other
	assert_eq "event_in_root" null "$(on event_in_root)"
	assert_in on_helper job
	assert_below under_job job
	assert_in in_under_job under_job
	assert_in after_exit helper_outer
	assert_root helper_outer
	assert_in entered_again job
	assert_in job_dropped hand_outer
	assert_eq "later values" 1 "$(count '"type":"span_value"' '"rows":77')"
	assert_eq "later texts" 1 "$(count '"type":"span_value"' '"state":"half"')"
	assert_eq "follows" 1 "$(count '"type":"(span_follows|follows_from|span_follows_from)"' "\"span\":$(span_id child)[,}]" "$(span_id other)")"
	assert_eq "entries of the job, which is two" 1 "$(count '"type":"span_close"' '"name":"job"' '"entries":2')"
	# the job is held open by its child
	assert_ge "close of the job, after the child's" "$(closed child)" "$(closed job)"
}

closed() { sed -n 's/.*"type":"span_close","t_ns":\([0-9]*\),.*"name":"'"$1"'".*/\1/p' t.json; }

explicit_parents()
{
	tree
	assert_root scoped
	assert_root scoped_root
	assert_in in_scoped_root scoped_root
	assert_below scoped_child scoped
	assert_in in_current scoped
	assert_below scoped_here scoped_root
	assert_eq "value of a scoped span" 1 "$(count '"type":"span_value"' '"rows":5' "\"span\":$(span_id scoped)[,}]")"
}

out_of_order()
{
	tree
	assert_in b_alone order_b
	assert_eq "none_left" null "$(on none_left)"
	assert_eq "at_the_end" null "$(on at_the_end)"
}

left_by_longjmp()
{
	tree
	assert_root jump_outer
	assert_eq "abandoned" 4 "$(count '"type":"span_close"' '"name":"jumped_over"' 'abandoned')"
	assert_in in_after_jump after_jump
	# the rest of the thread's life is right again
	assert_root hand_outer
	assert_root scoped
}

left_by_pthread_exit()
{
	tree
	assert_root left_outer
	assert_below left_inner left_outer
	assert_eq "ended with their thread" 2 "$(count '"type":"span_close"' '"name":"left_' '"synthetic":"thread_end"')"
}

# fields EVENT REGEX...
fields()
{
	name=$1
	shift
	for re; do
		assert_eq "$name: $re" 1 "$(count '"type":"event"' "\"name\":\"$name\"" "$re")"
	done
}

types_of()
{
	need_root
	traced "$1"
	assert_eq "the target's result" done "$(cat target.out)"
	assert_lossless
	assert_verified
	dump
	assert_eq "events" 11 "$(count '"type":"event"')"
	fields scalars '"yes":true' '"no":false' '"c":-5[,}]' '"i":-70000[,}]' '"u":4000000000[,}]' '"l":-5000000000[,}]' \
		'"ul":"?18446744073709551615' '"s128":"?-1267650600228229401496703205376' \
		'"u128":"?170141183460469231731687303715884105728' '"f":1.5[,}]' '"d":-2.25[,}]' '"p":("0x1234"|4660)'
	fields texts '"plain":"abc"' '"empty":""' '"part":"abc"' '"eno":"No such file or directory"' '"why":"it broke"' \
		'"utf8":"naïve"' '"dotted.name":7[,}]'
	assert_eq "NULL is no value" 0 "$(count '"name":"texts"' '"fields":.*"null":"')"
	fields cut256 "\"s\":\"$(printf "%256s" | tr " " q)\"" 69999
	fields cut4096 '69999'
	fields fits4096 '"s":"qqqq'
	assert_eq "not cut" 0 "$(count '"name":"fits4096"' 'truncated')"
	assert_in in_big_span big_span
	fields huge '"n":9[,}]' '69999'
	fields too_large '"n":10[,}]' '69999'
	fields many '"f0":0,.*"f31":31[,}]'
	assert_eq "message" 1 "$(count '"message":"message 5 of six"' '"n":3')"
	assert_eq "the last" 1 "$(count '"type":"event"' '"name":"last"' '"level":"ERROR"')"
}

types() { types_of th_types; }

# One program, built in every way that the header promises.
builds()
{
	need_root
	for t in "$TARGETS"/th_types-*; do
		[ -x "$t" ] || skip "built statically only"
		rm -f t.json
		echo "$t"
		types_of "$(basename "$t")"
	done
}

cxx()
{
	need_root
	[ -x "$TARGETS/th_cxx" ] || skip "built statically only"
	for t in th_cxx th_cxx_O0; do
		rm -f t.json
		traced $t
		assert_eq "the target's result" 28 "$(cat target.out)"
		assert_lossless
		assert_verified
		dump
		assert_eq "templates" 7 "$(count '"type":"span_open"' '"name":"twice"')"
		assert_eq "below the span" 7 "$(count '"type":"span_open"' '"name":"twice"' "\"parent\":$(span_id outer),")"
		assert_eq "inline" 3 "$(count '"type":"span_open"' '"name":"inlined"')"
		assert_eq "thrown through" 4 "$(count '"type":"span_close"' '"name":"thrown_through"')"
		assert_eq "ended by themselves" 0 "$(count '"type":"span_close"' 'synthetic|abandoned')"
		fields caught '"why":"at the bottom"'
		fields values '"s":"std"' '"v":"vi"' '"e":3[,}]' '"b":true'
		assert_in caught outer
		assert_root on_thread
	done
}

run_test by_hand
run_test explicit_parents
run_test out_of_order
run_test left_by_longjmp
run_test left_by_pthread_exit
run_test types
run_test builds
run_test cxx
