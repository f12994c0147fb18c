#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_soak.sh - recorders that run and run, on programs whose threads and processes come and go: what they hold must depend on what
# is alive, not on how long they have run. SOAK_SECONDS (60); `make soak` takes an hour, and says once a minute what it sees.
#
# Three recorders watch the same programs: a flight recording with triggers that decode, one that keeps its ring in files, and a
# `record` that turns its tapes. Compared are the least memory in the first third of the time after warming up and the least in the last
# third: what is held for a moment (a snapshot being written, a burst) is in neither. Of halves the second one's least lies early in it, and
# growth in steps is seen only by half.
. "$(dirname "$0")/flight_lib.sh"

SOAK_SECONDS=${SOAK_SECONDS:-60}
STRETCH=$((SOAK_SECONDS >= 600 ? 60 : SOAK_SECONDS / 5)) # seconds, one line of figures each
WARM=$((SOAK_SECONDS >= 1800 ? 5 : 1))			 # stretches that are not looked at
GROWTH_KIB=${SOAK_GROWTH_KIB:-$((SOAK_SECONDS >= 600 ? 1024 : 4096))} # of memory
exec 3>&1

say()
{
	echo "$*"
	[ "$SOAK_SECONDS" -lt 600 ] || echo "$*" >&3
}

# start NAME ARGS...: a recorder; its pid is in NAME.pid, what it says in NAME.err.
start()
{
	name=$1
	shift
	"$TAPEBPF" "$@" >"$name.out" 2>"$name.err" </dev/null &
	echo $! >"$name.pid"
	STARTED="$STARTED $!"
	RECORDER=$!
	wait_until 30 says_recording "$name" || fail "$name does not record: $(cat "$name.err")"
}

says_recording() { grep -q "$RECORDING_LINE" "$1.err"; }

pid_of() { cat "$1.pid"; }

pss_kib() { awk '/^Pss:/ { print $2; exit }' "/proc/$(pid_of "$1")/smaps_rollup"; }

fds() { find "/proc/$(pid_of "$1")/fd" -type l | wc -l; }

# Entries of its hash maps in the kernel.
map_entries()
{
	command -v bpftool >/dev/null || { echo 0; return; }
	sum=0
	for id in $(cat "/proc/$(pid_of "$1")/fdinfo/"* 2>/dev/null | awk '/^map_type:/ { t = $2 } /^map_id:/ && t == 1 { print $2 }' | sort -u); do
		n=$(bpftool map dump id "$id" 2>/dev/null | grep -cE '^key|"key"')
		sum=$((sum + n))
	done
	echo $sum
}

# A snapshot of NAME: sound, and it adds up.
snap()
{
	name=$1
	shift
	rm -f snap.tape snap.trace
	"$TAPEBPF" snapshot --socket "$WORK/$name.sock" "$@" >snap.out 2>snap.err || fail "snapshot $*: $(cat snap.err)"
	grep -qE 'emitted ([0-9]+) = stored [0-9]+ [+] lost [0-9]+' snap.err || fail "snapshot $*: $(cat snap.err)"
	! grep -q unaccounted snap.err || fail "snapshot $*: $(cat snap.err)"
	snaps=$((snaps + 1))
	[ ! -e snap.tape ] || assert_verified snap.tape
}

RECORDERS="triggers folder turns"

# The least of each figure in this stretch, in NAME.N.
stretch_begin() { for r in $RECORDERS; do : >"$r.pss"; done; }

sample() { for r in $RECORDERS; do pss_kib "$r" >>"$r.pss"; done; }

stretch_end()
{
	line="$((STRETCH * $1)) s:"
	for r in $RECORDERS; do
		least=$(sort -n "$r.pss" | head -n 1)
		most=$(sort -n "$r.pss" | tail -n 1)
		echo "$least $(fds "$r") $(map_entries "$r")" >"$r.$1"
		line="$line  $r $least..$most KiB, $(cut -d ' ' -f 2 "$r.$1") fds, $(cut -d ' ' -f 3 "$r.$1") entries;"
	done
	say "$line $snaps snapshots"
}

one_stretch()
{
	until=$((start_s + STRETCH * $1))
	stretch_begin
	while :; do
		for r in $RECORDERS; do
			kill -0 "$(pid_of "$r")" || fail "$r has ended: $(tail -n 3 "$r.err")"
		done
		sample
		snap triggers -o snap.tape
		sleep 1
		sample
		snap triggers --format go -o snap.trace
		sleep 1
		sample
		snap folder -o snap.tape --last 2s
		sleep 2
		sample
		[ "$(date +%s)" -lt $until ] || break
	done
	stretch_end "$1"
}

# least NAME FROM TO: of each figure, in these stretches.
least()
{
	i=$2
	while [ "$i" -le "$3" ]; do
		cat "$1.$i"
		i=$((i + 1))
	done | awk 'NR == 1 { a = $1; b = $2; c = $3 } { if ($1 < a) a = $1; if ($2 < b) b = $2; if ($3 < c) c = $3 } END { print a, b, c }'
}

grown()
{
	third=$((($1 - WARM) / 3))
	[ $third -ge 1 ] || fail "$1 stretches are too few"
	for r in $RECORDERS; do
		least "$r" $((WARM + 1)) $((WARM + third)) >"$r.then"
		least "$r" $(($1 - third + 1)) "$1" >"$r.now"
		read -r pss fd entries <"$r.then"
		read -r pss_end fd_end entries_end <"$r.now"
		say "$r: $pss to $pss_end KiB, $fd to $fd_end descriptors, $entries to $entries_end entries in the kernel's maps"
		[ $((pss_end - pss)) -le "$GROWTH_KIB" ] || fail "$r has grown from $pss to $pss_end KiB"
		[ "$fd_end" -le $((fd + 2)) ] || fail "$r had $fd descriptors, now $fd_end"
		[ "$entries_end" -le $((entries + 200)) ] || fail "$r had $entries entries in the kernel, now $entries_end"
	done
}

run_programs()
{
	start_target th_churn threads 0 8 2000
	programs=$TARGET
	start_target th_churn children 0 5000
	programs="$programs $TARGET"
	start_target th_flat 2 0 truth 20000
	programs="$programs $TARGET"
}

start_recorders()
{
	set -- -b "$TARGETS/th_churn" -b "$TARGETS/th_flat" --ring-size 4M
	start triggers flight --socket "$WORK/triggers.sock" --output-dir "$WORK/out" "$@" --size 8M --no-final --cooldown 3s \
		--keep-total 32M --on 'event:level>=error' --on 'span:work>1h' --on 'open:work>1h'
	start folder flight --socket "$WORK/folder.sock" --output-dir "$WORK/out" "$@" --size 8M --no-final --dir "$WORK/ring"
	start turns record -o "$WORK/turn.tape" "$@" --rotate-size 16M --keep-files 3
}

# What each recorder says at its end.
finish()
{
	for p in $programs; do
		kill -TERM "$p"
	done
	sleep 1
	for r in $RECORDERS; do
		kill -INT "$(pid_of "$r")"
		wait "$(pid_of "$r")" || fail "$r: status $?: $(tail -n 3 "$r.err")"
		! grep -q unaccounted "$r.err" || fail "$r: $(grep unaccounted "$r.err")"
	done
	cp turns.err record.err
	assert_exact
	say "record: $(tail -n 1 turns.err)"
	for t in turn_*.tape; do
		assert_verified "$t"
	done
	rm -f turn_*.tape out/*.tape
}

soak()
{
	need_root
	mkdir -p out ring
	snaps=0
	start_recorders
	run_programs
	start_s=$(date +%s)
	i=0
	while [ $((i * STRETCH)) -lt "$SOAK_SECONDS" ]; do
		i=$((i + 1))
		one_stretch $i
	done
	grown $i
	[ "$(find out -name '*.tape' | wc -l)" -ge 1 ] || fail "no trigger has fired"
	finish
}

[ -n "$SOAK_ONLY_LIB" ] || run_test soak
