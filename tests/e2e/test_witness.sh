#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Other people's tools as witnesses that the sites of tape.h are ordinary stapsdt probes.
. "$(dirname "$0")/lib.sh"

shop()
{
	SHOP=$B/examples/shop
	[ -x "$SHOP" ] || fail "no $SHOP: make examples"
}

readelf_lists_them()
{
	need readelf
	shop
	readelf -n "$SHOP" >notes 2>notes.err || fail "readelf: status $?"
	[ ! -s notes.err ] || fail "readelf complains: $(head -n 1 notes.err)"
	for probe in order__begin order__end charge__begin price__begin lookup__end open; do
		awk -v name="$probe" '$1 == "Provider:" { provider = $2 } $1 == "Name:" { found = provider == "shop" && $2 == name }
			found && $1 == "Location:" { sub(/,/, "", $2); if ($NF !~ /^0x0+$/) n++ } END { exit n < 1 }' notes ||
			fail "no probe shop:$probe with a semaphore of its own"
	done
	# as many sites as we say there are, no semaphore shared
	"$TAPEBPF" list --json "$SHOP" >list.json || fail "list: status $?"
	callsites=$(grep -c '"kind":"\(span\|event\)"' list.json)
	semaphores=$(awk '/Provider: shop/ { ours = 1 } /Semaphore:/ { if (ours) print $NF; ours = 0 }' notes | sort -u | wc -l)
	assert_eq "semaphores" "$callsites" "$semaphores"
}

# Counts of a foreign tracer that knows nothing of us, with nobody else attached: the semaphore makes the site fire.
bpftrace_counts()
{
	need_root
	need bpftrace
	shop
	timeout 60 bpftrace -e "usdt:$SHOP:shop:order__begin { @begin = count(); }
		usdt:$SHOP:shop:order__end { @end = count(); }" -c "$SHOP" >bpftrace.out 2>&1 || skip "bpftrace fails here: $(tail -n 1 bpftrace.out)"
	assert_match "begins" '@begin: 60$' bpftrace.out
	assert_match "ends" '@end: 60$' bpftrace.out
}

# Both at once: the foreign tracer gets every hit, and so do we.
bpftrace_beside_us()
{
	need_root
	need bpftrace
	shop
	start_record -b "$SHOP"
	timeout 60 bpftrace -e "usdt:$SHOP:shop:order__begin { @begin = count(); }" -c "$SHOP" >bpftrace.out 2>&1 ||
		skip "bpftrace fails here: $(tail -n 1 bpftrace.out)"
	sleep 0.3
	stop_record
	assert_match "its begins" '@begin: 60$' bpftrace.out
	assert_eq "our begins" 60 "$(count '"type":"span_open"' '"name":"order"')"
	assert_eq "lost" 0 "$(total lost)"
	assert_verified
}

immediate()
{
	need_root
	shop
	run_record --immediate -- "$SHOP" || fail "status $?"
	assert_eq "spans" 60 "$(count '"type":"span_open"' '"name":"order"')"
	assert_eq "steps of an order" 60 "$(count '"type":"span_open"' '"name":"charge"')"
	assert_eq "emitted" "$(total emitted)" "$(total stored)"
	spans=$(count '"type":"span_open"')
	events=$(count '"type":"event"')
	rm t.json
	run_record --force -- "$SHOP" || fail "status $?"
	assert_eq "as many spans as by pages" "$(count '"type":"span_open"')" "$spans"
	assert_eq "as many events as by pages" "$(count '"type":"event"')" "$events"
}

run_test readelf_lists_them
run_test bpftrace_counts
run_test bpftrace_beside_us
run_test immediate
