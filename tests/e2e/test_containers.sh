#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Targets with a root, a mount table and process ids of their own, on an overlay; and recorders with few privileges.
. "$(dirname "$0")/lib.sh"

# box: a root with usdt_flat, on an overlay; its files have other device numbers there than the kernel's inode has.
make_box()
{
	need_root
	need unshare
	need chroot
	need_target usdt_flat
	mkdir lower fs box
	for f in "$TARGETS/usdt_flat" $(ldd "$TARGETS/usdt_flat" | grep -o '/[^ ]*'); do
		mkdir -p "lower/$(dirname "$f")" && cp -L "$f" "lower/$f" || fail "copying $f"
	done
	mkdir -p lower/bin lower/proc && cp "$TARGETS/usdt_flat" lower/bin
	mount -t tmpfs none fs && mkdir fs/upper fs/work || skip "cannot mount a tmpfs"
	mount -t overlay -o "lowerdir=lower,upperdir=fs/upper,workdir=fs/work" none box ||
		{ umount fs; skip "cannot mount an overlay"; }
	trap 'stop_all; umount box fs' EXIT
}

# Its BOXED is the process's number outside. "unchanged": nothing is mounted in there, and in a chroot there is no / to make private.
start_boxed()
{
	unshare --propagation unchanged --mount --pid --fork --kill-child chroot box /bin/usdt_flat 1 0 >target.out 2>target.err &
	OUTER=$!
	STARTED="$STARTED $OUTER"
	wait_until 10 find_boxed || fail "the target does not start: $(cat target.err)"
	STARTED="$BOXED $STARTED"
}

find_boxed()
{
	BOXED=$(cat "/proc/$OUTER/task/$OUTER/children" 2>/dev/null | tr -d ' ')
	[ -n "$BOXED" ] && [ "$(cat "/proc/$BOXED/comm" 2>/dev/null)" = usdt_flat ]
}

other_namespaces()
{
	make_box
	start_boxed
	start_record -p "$BOXED"
	sleep 0.3
	stop_record
	assert_lossless
	assert_verified
	assert_ge "events" 100 "$(count '"type":"event"' '"name":"hit"')"
	assert_eq "its number inside" 1 "$(count '"type":"process"' "\"pid\":$BOXED,\"ns_pid\":1[,}]")"
	"$TAPEBPF" list "$BOXED" >list.out 2>&1 || fail "list: status $?"
	assert_match "listed" 'idle .*flat:hit' list.out
	kill -0 "$BOXED" || fail "the target is gone"
}

# By the path of the binary: in the overlay, and in the layer below, which is the same inode to the kernel.
by_binary()
{
	make_box
	start_boxed
	for path in box lower; do
		rm -f t.tape t.json
		start_record -b "$path/bin/usdt_flat"
		sleep 0.3
		stop_record
		assert_exact
		assert_ge "events by $path" 100 "$(count '"type":"event"' '"name":"hit"')"
	done
}

# The binary is gone from the box and from below; the process runs on with the inode.
deleted_inside()
{
	make_box
	start_boxed
	rm box/bin/usdt_flat lower/bin/usdt_flat
	start_record -p "$BOXED"
	sleep 0.3
	stop_record
	assert_exact
	assert_ge "events" 100 "$(count '"type":"event"' '"name":"hit"')"
}

# --- privileges --------------------------------------------------------------------------------------------

need_setpriv()
{
	need_root
	need setpriv
	id nobody >/dev/null 2>&1 || skip "no user nobody"
	# where that user gets at the program and may write
	mkdir open && chmod 777 open && cp "$TARGETS/usdt_args" open && cp "$TAPEBPF" open/tapebpf || fail "cp"
	as_nobody test -x "$WORK/open/usdt_args" || skip "nobody cannot reach $WORK"
}

# as_nobody [+cap,+cap] COMMAND...
as_nobody()
{
	case $1 in
	+*) caps=$1; shift ;;
	*) caps=-all ;;
	esac
	setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups --inh-caps "$caps" --ambient-caps "$caps" "$@"
}

no_privilege()
{
	need_setpriv
	start_target usdt_flat 1 0
	as_nobody open/tapebpf -p "$TARGET" -o open/t.tape 2>err
	assert_eq "exit status" 1 $?
	assert_match "why" 'not allowed to load BPF programs' err
	assert_match "a remedy" 'try: .*root.*CAP_BPF and CAP_PERFMON' err
	as_nobody open/tapebpf doctor >doctor.out 2>&1
	assert_eq "doctor's exit status" 1 $?
	assert_match "doctor's remedy" 'grant CAP_BPF and CAP_PERFMON' doctor.out
	[ ! -e open/t.tape ] || fail "a tape was left behind"
	kill -0 "$TARGET" || fail "the target is gone"
}

# What doctor promises: CAP_BPF and CAP_PERFMON record what the user may read, semaphores included.
two_capabilities()
{
	need_setpriv
	"$TAPEBPF" doctor >doctor.root 2>&1
	grep -q 'by uprobe_multi' doctor.root || skip "without uprobe_multi it takes CAP_SYS_ADMIN"
	as_nobody +bpf,+perfmon open/tapebpf doctor >doctor.out 2>&1 || fail "doctor: status $?: $(grep -A1 ^bad doctor.out)"
	assert_match "doctor's way of attaching" 'by uprobe_multi' doctor.out
	as_nobody +bpf,+perfmon open/tapebpf -o open/t.tape -- open/usdt_args 50 >out 2>record.err || fail "record: status $?"
	assert_eq "the target's result" "50 40425" "$(cat out)"
	assert_lossless
	dump open/t.tape
	assert_eq "behind a semaphore" 50 "$(count '"type":"event"' '"name":"guarded"')"
	assert_verified open/t.tape

	start_target usdt_flat 1 0
	as_nobody +bpf,+perfmon open/tapebpf -p "$TARGET" -o open/u.tape 2>err
	assert_eq "exit status for another user's process" 1 $?
	assert_match "why, for another user's process" 'Permission denied' err
	as_nobody +bpf,+perfmon,+sys_ptrace open/tapebpf -p "$TARGET" --duration 300ms -o open/u.tape 2>record.err ||
		fail "with CAP_SYS_PTRACE: status $?"
	assert_exact
	assert_ge "events of another user's process" 100 "$(total stored)"
}

# The first file of each tmpfs has the same number: it is another file all the same.
same_inode_number()
{
	need_root
	need_target usdt_flat
	mkdir one two
	mount -t tmpfs none one || skip "cannot mount a tmpfs"
	trap 'stop_all; umount one two' EXIT
	mount -t tmpfs none two || skip "cannot mount a tmpfs"
	cp "$TARGETS/usdt_flat" one/mine
	cp "$TARGETS/usdt_flat" two/theirs
	[ "$(stat -c %i one/mine)" = "$(stat -c %i two/theirs)" ] || skip "their numbers differ"
	start_target "$WORK/two/theirs" 1 0
	run_record -b one/mine --duration 300ms || fail "status $?"
	assert_total emitted 0
	run_record --force -b one/mine -b two/theirs --duration 300ms || fail "status $?"
	assert_ge "events" 100 "$(total stored)"
}

run_test other_namespaces
run_test same_inode_number
run_test by_binary
run_test deleted_inside
run_test no_privilege
run_test two_capabilities
