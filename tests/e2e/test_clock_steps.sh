#!/bin/sh
# SPDX-License-Identifier: MIT
# guest: yes
#
# The wall clock is set forth and back while a flight recorder runs: what is kept, its order, its sums, a trigger's cooldown and the names of
# snapshots do not care. In guests only: nobody else's clock is stepped.
. "$(dirname "$0")/flight_lib.sh"

step()
{
	date -s "@$(($(date +%s) + $1))" >/dev/null || fail "cannot set the clock"
}

# status_of KEY: a number of the status.
status_of()
{
	"$TAPEBPF" status --socket "$WORK/sock" --json | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

steps_of_the_clock()
{
	need_root
	[ -n "${KERNEL_GUEST:-}" ] || skip "not in a guest of its own: this machine's clock is not stepped"
	start_target th_flat 1 0 truth 20000
	start_flight -p "$TARGET" --size 1M --period 3s --generation 500ms --on signal --cooldown 1h --keep-total 1GiB
	sleep 3
	kill -USR2 "$FLIGHT"
	wait_until 60 grep -q '^tapebpf: snapshot ' record.err || fail "no snapshot of the trigger"
	n=0
	for by in 3600 -7200 3600; do
		n=$((n + 1))
		sealed=$(status_of generations_sealed)
		step "$by"
		kill -USR2 "$FLIGHT" # within the cooldown, whatever the wall clock says
		sleep 3
		assert_ge "generations that end after step $n" "$((sealed + 1))" "$(status_of generations_sealed)"
		[ "$(status_of covered_ns)" -lt 600000000000 ] || fail "ten minutes are covered: $(status_of covered_ns) ns"
		must_snapshot "$n.tape"
		assert_eq "lost in snapshot $n" 0 "$(lost_of "$n.tape")"
		"$TAPEBPF" dump --json "$n.tape" | sed -n 's/.*"t_ns":\([0-9]*\),.*/\1/p' >times
		sort -n -c times || fail "times go back in snapshot $n"
		[ "$(tail -n 1 times)" -lt 600000000000 ] || fail "snapshot $n is ten minutes long"
		steps "$n.tape"
		"$TARGETS/truth_check" -w truth s.json >check.out || fail "snapshot $n is not an unbroken piece: $(tail -n 1 check.out)"
	done
	assert_eq "triggers swallowed" 3 "$(status_of triggers_cooldown)"
	kill -TERM "$TARGET"
	wait_target
	wait_record
	assert_eq "snapshots of its own" 2 "$(find out -name '*.tape' | wc -l)"
	for i in 1 2; do
		assert_verified "$(own $i)"
	done
}

run_test steps_of_the_clock
