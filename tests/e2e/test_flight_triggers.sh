#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Triggers of `flight`: each with a program that does what it waits for, and what follows when one fires.
. "$(dirname "$0")/flight_lib.sh"

# fires TRIGGER WHAT [MS]: one snapshot is taken, says why, and is sound. Its dump is in why.json.
fires()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on "$1"
	shift
	start_target th_trigger "$@"
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	kill -TERM "$TARGET" 2>/dev/null
	wait_target
	stop_flight
	assert_eq "snapshots" 1 "$(find out -name '*.tape' | wc -l)"
	assert_verified "$(own 1)"
	"$TAPEBPF" dump --json "$(own 1)" >all.json
	grep '"type":"trigger"' all.json >why.json
	assert_eq "reasons in it" 1 "$(wc -l <why.json)"
}

# silent TRIGGER WHAT [MS]: it does not fire.
silent()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on "$1"
	shift
	start_target th_trigger "$@"
	sleep 1.2
	kill -TERM "$TARGET"
	wait_target
	stop_flight
	assert_eq "snapshots" 0 "$(find out -name '*.tape' | wc -l)"
}

span() { fires 'span:slow>50ms' span 80 && assert_match "what" 'slow' why.json; }
span_short() { silent 'span:slow>500ms' span 20; }
busy() { fires 'busy:worked>50ms' busy 80 && assert_match "what" 'worked' why.json; }
hang() { fires 'open:stuck>300ms' hang && assert_match "what" 'stuck' why.json; }
event_name() { fires 'event:request.failed' event && assert_match "what" 'request.failed' why.json; }
event_level() { fires 'event:level>=error' event && assert_match "what" 'code=500' why.json; }
event_fields() { fires 'event:code==500 and path~"/api"' event; }
event_other() { silent 'event:code==404' event; }
on_exit() { fires exit exit 3 && assert_match "its last words" 'last words' all.json; }
on_crash() { fires crash crash && assert_match "its last words" 'last words' all.json; }
no_crash() { silent crash none; }

# A field that no such event has, another trigger that is right, one that nothing has come for: said once, and by status.
misspelt()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on 'event:request.failed cod==500' --on 'event:code==404' --on 'span:tock>1s' --on 'span:tick>10m'
	start_target th_trigger event
	wait_until 20 grep -q 'no field' record.err || fail "nothing said: $(cat record.err)"
	assert_eq "once" 1 "$(grep -c 'no field' record.err)"
	assert_match "what is there" "^tapebpf: warning: --on 'event:request.failed cod==500': no field cod in event request.failed; it has code, path$" record.err
	"$TAPEBPF" status --socket sock --json >json || fail "status"
	assert_match "in status" '"on":"event:request.failed cod==500","hint":"no field cod in event request.failed; it has code, path"}' json
	assert_match "of another name" '"on":"span:tock>1s","hint":"no span of this name so far"}' json
	assert_match "nothing of those that may fire" '"on":"event:code==404"},.*"on":"span:tick>10m"}' json
	"$TAPEBPF" status --socket sock >status || fail "status"
	grep -A 1 ' event:request.failed cod==500$' status >lines
	assert_match "below it" '^            no field cod in event request.failed; it has code, path$' lines
	kill -TERM "$TARGET"
	wait_target
	stop_flight
	assert_eq "snapshots" 0 "$(find out -name '*.tape' | wc -l)"
}

on_signal()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on signal
	start_target th_trigger none
	sleep 0.5
	kill -USR2 "$FLIGHT"
	wait_until 10 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	stop_flight
	"$TAPEBPF" dump --json "$(own 1)" >all.json
	assert_match "why" '"type":"trigger"' all.json
	kill -TERM "$TARGET"
}

# A storm: one snapshot, the rest is swallowed and counted.
cooldown()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on 'span:tick>1us' --cooldown 60s
	start_target th_trigger none
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	sleep 1
	"$TAPEBPF" status --socket sock --json >status || fail "status"
	assert_match "one taken" '"triggers_taken":1,' status
	swallowed=$(sed -n 's/.*"triggers_cooldown":\([0-9]*\).*/\1/p' status)
	assert_ge "swallowed and counted" 100 "$swallowed"
	kill -TERM "$TARGET"
	stop_flight
	assert_eq "snapshots" 1 "$(find out -name '*.tape' | wc -l)"
}

# --post goes on recording before the cut; --max-snapshots and --keep-total bound; --exec runs with what it needs to know.
policy()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on 'event:request.failed' --post 500ms \
		--exec 'printf "%s|%s|%s\n" "$TAPEBPF_SNAPSHOT" "$TAPEBPF_TRIGGER" "$TAPEBPF_WHAT" >>ran; sleep 0.1; nice >priority'
	start_target th_trigger event
	wait_until 20 test -s ran || fail "the command did not run"
	wait_until 20 test -s priority
	assert_eq "not the recorder's precedence" "$(nice)" "$(cat priority)"
	kill -TERM "$TARGET"
	wait_target
	stop_flight
	assert_match "what it was told" "out/th_trigger_.*tape[|]event:request.failed[|].*code=500" ran
	"$TAPEBPF" dump --json "$(own 1)" >all.json
	at=$(sed -n '/request.failed/s/.*"t_ns":\(-\?[0-9]*\).*/\1/p' all.json | tail -n 1)
	end=$(sed -n 's/.*"type":"span_close".*"t_ns":\(-\?[0-9]*\).*/\1/p;s/.*"t_ns":\(-\?[0-9]*\).*/\1/p' all.json | sort -n | tail -n 1)
	assert_ge "ns recorded after it" 450000000 $((end - at))
}

# Others have asked before, and are served for longer than the ring covers: what fired the trigger is in its snapshot all the same.
behind_others()
{
	need_root
	"$TARGETS/th_flat" 1 0 truth 1000 >flat.out &
	flat=$!
	STARTED="$STARTED $flat"
	start_flight -p $flat -b "$TARGETS/th_trigger" --no-final --size 16M --period 1h --on 'event:request.failed'
	sleep 1
	askers=
	for i in $(seq 14); do
		"$TAPEBPF" snapshot --socket sock --format go --last "$((1000 + i))s" -o "asked$i.trace" >/dev/null 2>&1 &
		askers="$askers $!"
	done
	wait_until 20 others_wait || fail "nobody waits"
	start_target th_trigger event
	wait_until 60 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	kill -TERM "$TARGET" $flat
	wait_target
	for a in $askers; do
		wait "$a" || fail "an asker before it: status $?"
	done
	stop_flight
	"$TAPEBPF" dump --json "$(own 1)" >all.json
	assert_eq "what fired it, in it" 1 "$(grep '"type":"event"' all.json | grep -c '"request.failed"')"
}

others_wait() { "$TAPEBPF" status --socket sock --json | grep -qE '"snapshots_waiting":1[0-9]'; }

# Commands that never end, hear no signal and leave daemons behind: so many and no more, no zombies, and the end comes.
commands_that_hang()
{
	need_root
	cat >hang.sh <<-'EOS'
		trap '' TERM INT HUP
		exec 0<&-
		setsid sleep 300 &
		echo $! >>pids
		echo $$ >>pids
		exec sleep 300
	EOS
	start_flight -b "$TARGETS/th_trigger" --no-final --on 'span:tick>1us' --cooldown 5ms --keep-total 1 --exec 'sh hang.sh'
	start_target th_trigger none
	wait_until 20 grep -q 'was not run: 16 of them have not ended' record.err || fail "no bound"
	STARTED="$STARTED $(cat pids)"
	assert_eq "commands" 16 "$(cat "/proc/$FLIGHT/task/$FLIGHT/children" | wc -w)"
	for p in $(cat "/proc/$FLIGHT/task/$FLIGHT/children"); do
		! grep -q '^State:.*Z' "/proc/$p/status" || fail "a zombie: $p"
	done
	stop_flight
	assert_match "said" '16 of the commands of --exec have not ended: they are left running' record.err
	kill -TERM "$TARGET"
}

bounds()
{
	need_root
	start_flight -b "$TARGETS/th_trigger" --no-final --on 'span:tick>1us' --cooldown 10ms --max-snapshots 3 --keep-total 1
	start_target th_trigger none
	wait_until 20 sh -c '[ "$(grep -c "^tapebpf: snapshot " record.err)" -ge 3 ]' || fail "not three"
	sleep 0.5
	assert_eq "taken" 3 "$(grep -c '^tapebpf: snapshot ' record.err)"
	assert_eq "left" 1 "$(find out -name '*.tape' | wc -l)"
	kill -TERM "$TARGET"
	stop_flight
}

bad_triggers()
{
	for t in 'span:x' 'span:x>y' 'nothing' 'event:a==' 'open:x<1s' ''; do
		"$TAPEBPF" flight --on "$t" -p $$ 2>err
		assert_eq "status of '$t'" 2 $?
	done
	"$TAPEBPF" flight --on 'event:code==' -p $$ 2>err
	assert_match "points at the place" '^ *\^' err
}

# end_without_room: th_trigger (TARGET) ends while no ring has room for a word of it. Hits fill a ring to the last of its bytes;
# each CPU has a thread of its own (of FLOOD) that makes them, as the scheduler of a busy machine may leave two of them on one.
end_without_room()
{
	"$TARGETS/usdt_flat" "$(nproc --all)" 0 >/dev/null 2>&1 &
	FLOOD=$!
	STARTED="$STARTED $FLOOD"
	sleep 0.5
	cpu=0
	for tid in $(ls "/proc/$FLOOD/task" | grep -vx "$FLOOD"); do
		taskset -cp "$cpu" "$tid" >/dev/null 2>&1
		cpu=$((cpu + 1))
	done
	kill -STOP "$RECORDER"
	sleep 0.3
	kill -TERM "$TARGET"
	wait_target
	kill -CONT "$RECORDER"
}

# Whose end was lost is found to be gone: the trigger fires, and no table keeps it.
end_was_lost()
{
	need_root
	start_flight -b "$TARGETS/usdt_flat" -b "$TARGETS/th_trigger" --no-final --ring-size 16k --on exit --on crash --period 1s --generation 200ms
	start_target th_trigger none
	sleep 0.3
	end_without_room
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot"
	assert_match "it was lost" '"life_records_lost":[1-9]' "$(status_now)"
	assert_eq "how it ended" 1 "$("$TAPEBPF" dump --json "$(own 1)" | grep -c "\"type\":\"trigger\".*\"exit\".*process $TARGET has ended, nobody knows how")"
	wait_until 20 alone || fail "who has ended is kept: $(cat status)"
	kill -TERM $FLOOD
	wait $FLOOD
	stop_flight
}

# Only the other one is there.
alone() { grep -q '"processes":1,"threads":[123],' "$(status_now)"; }
status_now() { "$TAPEBPF" status --socket sock --json >status; echo status; }

end_was_lost_to_a_tape()
{
	need_root
	start_record -b "$TARGETS/usdt_flat" -b "$TARGETS/th_trigger" --ring-size 16k
	start_target th_trigger none
	sleep 0.3
	end_without_room
	kill -TERM $FLOOD # a tape of it would be long
	wait $FLOOD
	sleep 4
	stop_record
	assert_match "it was lost" 'starts and ends of threads or processes did not fit' record.err
	assert_exact
	assert_verified
	assert_eq "ends of it, without a status" 1 "$(count '"type":"process_end".*"pid":'"$TARGET"'}$')"
}

go_format()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --format go
	sleep 0.3
	"$TAPEBPF" snapshot --socket sock -o a.trace 2>a.err >a.out || fail "status $?: $(cat a.err)"
	assert_match "by the ending" 'go 1.22 trace' a.trace
	kill -TERM "$TARGET"
	wait_record
	assert_match "the last one" 'go 1.22 trace' "$(find out -name '*.trace')"
}

status_text()
{
	need_root
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	sleep 0.5
	"$TAPEBPF" status --socket sock >status || fail "status $?"
	assert_match "what is kept" '^kept .* generations' status
	assert_match "the target" " $TARGET .* th_flat" status
	if command -v python3 >/dev/null; then
		"$TAPEBPF" status --socket sock --json | python3 -m json.tool >json || fail "not JSON"
	fi
	stop_flight
	"$TAPEBPF" status --socket sock 2>err
	assert_eq "nobody there" 1 $?
	kill -TERM "$TARGET"
}

for t in span span_short busy hang event_name event_level event_fields event_other misspelt on_exit on_crash no_crash end_was_lost end_was_lost_to_a_tape on_signal cooldown policy commands_that_hang behind_others \
	bounds bad_triggers go_format status_text; do
	run_test $t
done
