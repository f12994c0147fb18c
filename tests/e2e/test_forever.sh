#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_forever.sh - threads that live for a moment, 90,000 of them: what the recorder holds at the last of them is what it held after the first
# 60,000, until which memory settles. (test_soak.sh is the same by time.)
. "$(dirname "$0")/flight_lib.sh"

# In a run of 250,000 threads it goes up and down by 1,300 KiB. From the first readings to the last are 30,000 threads: a structure forgotten is more.
GROWTH_KIB=2048

pss_kib() { awk '/^Pss:/ { print $2; exit }' "/proc/$RECORDER/smaps_rollup"; }

# So many threads have come and gone, and the recorder has had a moment to see it: the program waits for a second.
counted() { [ "$(grep -c "^$1\$" target.out)" -ge 1 ]; }

# The least of some readings: a round may be under way.
settled_kib()
{
	for _ in 1 2 3 4; do
		sleep 0.2
		pss_kib
	done | sort -n | head -n 1
}

# Of two readings each: memory that a burst has left to the allocator goes back only now and then.
churn()
{
	start_target th_churn threads 90000 10 2000 10000
	for n in 50000 60000 80000 90000; do
		wait_until 120 counted $n || fail "$n threads: $(cat target.out)"
		settled_kib
	done >readings
	before=$(head -n 2 readings | sort -n | tail -n 1)
	after=$(tail -n 2 readings | sort -n | head -n 1)
	wait_target
	echo "$before KiB, then $after KiB"
	[ $((after - before)) -le $GROWTH_KIB ] || fail "from $before to $after KiB"
}

record_threads()
{
	need_root
	start_record -b "$TARGETS/th_churn" --ring-size 16M
	churn
	stop_record
	assert_exact
	assert_verified
}

flight_threads()
{
	need_root
	start_flight -b "$TARGETS/th_churn" --ring-size 16M --size 1M --on 'span:work>1h'
	churn
	must_snapshot a.tape
	stop_flight
}

# More processes than the kernel's table of targets has room for, if none of them left it.
flight_processes()
{
	need_root
	start_flight -b "$TARGETS/th_churn" --size 1M --on 'span:work>1h'
	before=$(settled_kib)
	start_target th_churn children 20000 0
	wait_target
	assert_eq "the target's status" 0 "$TARGET_STATUS"
	start_target th_churn children 10 0
	wait_target
	after=$(settled_kib)
	echo "$before KiB, then $after KiB"
	must_snapshot a.tape --last 2s
	"$TAPEBPF" dump --json a.tape >a.json
	assert_match "the last child" '"thread_name":"churn-9"' a.json
	stop_flight
}

for t in record_threads flight_threads flight_processes; do
	run_test $t
done
