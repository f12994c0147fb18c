#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tapebpf list: what is in a file, what is up in a process, and what cannot be used and why.
. "$(dirname "$0")/lib.sh"

# listed FILTER...: lines of list.out that match all of them.
listed()
{
	cp list.out rest
	for regex in "$@"; do
		grep -E -- "$regex" rest >rest2
		mv rest2 rest
	done
	grep -c . rest
}

a_file()
{
	need_target usdt_args
	"$TAPEBPF" list "$TARGETS/usdt_args" >list.out || fail "list: status $?"
	assert_match "the head" '^/.*usdt_args: [0-9]+ probe sites, [0-9]+ callsites$' list.out
	assert_eq "a probe with its source line" 1 "$(listed '^probe INFO  found' 'shop:guarded' 'usdt_args.c:[0-9]+')"
	assert_eq "semaphores" 2 "$(listed '^probe INFO  found    yes ')"
	assert_eq "probes without arguments" 1 "$(listed 'shop:none' ':[0-9]+ *$')"
	if [ "$(uname -m)" = x86_64 ]; then
		assert_eq "an unreadable argument is named" 1 "$(listed 'shop:half' 'arg1: unreadable \(')"
		assert_eq "rip and symbol" 1 "$(listed 'shop:symbol' 'arg0 i32 \(-4@usdt_args_global\(%rip\)\)')"
	fi
	"$TAPEBPF" list --sig 'shop:texts(str path, str body:len, i32 len)' "$TARGETS/usdt_args" >list.out
	assert_eq "names and types of a signature" 1 "$(listed 'shop:texts' 'path str \(.*\), body str \(.*\), len i32 \(')"
	"$TAPEBPF" list --no-lines "$TARGETS/usdt_args" >list.out
	assert_eq "without lines" 0 "$(listed 'usdt_args.*\.c:')"
}

json()
{
	need_target usdt_args
	"$TAPEBPF" list "$TARGETS/usdt_args" >list.out
	sites=$(listed '^(probe|span|event) ')
	"$TAPEBPF" list --json "$TARGETS/usdt_args" >list.out || fail "list --json: status $?"
	assert_eq "sites" "$sites" "$(listed '^\{"type":"site".*\}$')"
	assert_eq "binaries" 1 "$(listed '^\{"type":"binary".*\}$')"
	assert_eq "nothing else" $((sites + 1)) "$(listed .)"
	command -v jq >/dev/null || skip "jq is not installed (the rest passed)"
	assert_eq "objects" $((sites + 1)) "$(jq -c . list.out | grep -c .)"
	assert_eq "fields of four" 4 "$(jq -r 'select(.name == "four") | .fields | length' list.out)"
}

a_process()
{
	need_root
	need_target usdt_args
	mkfifo hold
	"$TARGETS/usdt_args" 1 hold <hold >target.out &
	TARGET=$!
	STARTED="$STARTED $TARGET"
	exec 9>hold
	wait_until 10 execed "$TARGET"
	"$TAPEBPF" list "$TARGET" >list.out || fail "list: status $?"
	assert_eq "idle" 1 "$(listed '^probe INFO  idle     0 ' 'shop:guarded')"
	assert_eq "idle, no semaphore" 1 "$(listed '^probe INFO  idle     none ' 'shop:none')"
	start_record -p "$TARGET"
	"$TAPEBPF" list "$TARGET" >list.out || fail "list: status $?"
	assert_eq "attached, semaphore up" 1 "$(listed '^probe INFO  attached 1 ' 'shop:guarded')"
	assert_eq "attached" 1 "$(listed '^probe INFO  attached none ' 'shop:none')"
	assert_eq "none is left out" 0 "$(listed '^probe' 'idle')"
	stop_record
	"$TAPEBPF" list "$TARGET" >list.out || fail "list: status $?"
	assert_eq "idle again" 0 "$(listed '^probe' 'attached')"
	assert_eq "semaphore down" 1 "$(listed '^probe INFO  idle     0 ' 'shop:guarded')"
	echo >&9
	exec 9>&-
	wait_target
	assert_eq "the target's result" "1 0" "$(cat target.out)"
}

# refused STATUS REGEX ARGS...
refused()
{
	want=$1 regex=$2
	shift 2
	"$TAPEBPF" list "$@" >out 2>err </dev/null
	assert_eq "exit status of list $*" "$want" $?
	assert_match "list $*" "$regex" err
}

bad_input()
{
	refused 2 'process id or a file is missing'
	refused 2 'column' --sig 'shop:order(u64' /bin/sh
	refused 1 'no process 4194303' 4194303
	refused 1 'cannot open' ./nonesuch
	refused 1 'not an ELF file' "$HERE/lib.sh"
	refused 1 'not a regular file' .
	refused 1 'no section' /bin/sh
	head -c 100 "$(readlink -f /bin/sh)" >cut
	refused 1 'beyond the end' ./cut
	# one bad target does not hide the others
	need_target usdt_args
	refused 1 'cannot open' ./nonesuch "$TARGETS/usdt_args"
	assert_match "the good one" 'shop:none' out
	"$TAPEBPF" list --help >out || fail "--help: status $?"
	assert_match "help" 'PID\|FILE' out
}

# A program's names may hold anything; a terminal must not see it.
control_characters()
{
	need gcc
	cat >evil.c <<-'END'
		int main(void)
		{
			__asm__ volatile(
				"990: nop\n"
				".pushsection .note.stapsdt,\"\",\"note\"\n"
				".balign 4\n .4byte 992f-991f, 994f-993f, 3\n"
				"991: .asciz \"stapsdt\"\n"
				"992: .balign 4\n"
				"993: .8byte 990b, 0, 0\n"
				" .asciz \"e\\033[31mvil\"\n .asciz \"na\\377me\\r\\n\"\n .asciz \"8@\\033]0;x\\007\"\n"
				"994: .balign 4\n"
				".popsection\n");
			return 0;
		}
	END
	gcc -no-pie -o evil evil.c 2>gcc.err || skip "the assembler does not take the note"
	"$TAPEBPF" list ./evil >list.out || fail "list: status $?"
	assert_eq "one site" 1 "$(grep -c '^probe' list.out)"
	assert_eq "escape characters" 0 "$(tr -cd '\033\007\r' <list.out | wc -c)"
	"$TAPEBPF" list --json ./evil >list.out || fail "list --json: status $?"
	assert_eq "lines of JSON" 2 "$(grep -c . list.out)"
	assert_eq "escape characters in JSON" 0 "$(tr -cd '\033\007\r' <list.out | wc -c)"
}

# Constants at labels that the assembler drops: words that help, and they do.
dropped_labels()
{
	need gcc
	echo '#include <sys/sdt.h>' | gcc -E - >/dev/null 2>&1 || skip "no sys/sdt.h"
	printf '#include <sys/sdt.h>\nint main(void) { DTRACE_PROBE1(flt, half, 0.625); return 0; }\n' >flt.c
	gcc -O2 flt.c -o flt || fail "gcc"
	readelf -n flt | grep -q '8f@\.L' || skip "this compiler or sys/sdt.h puts the constant elsewhere"
	"$TAPEBPF" list ./flt >list.txt || fail "list: status $?"
	assert_match "unreadable" 'arg0: unreadable \(8f@\.L' list.txt
	assert_match "and what helps" '^  constants at a label .*-Wa,-L .*-Wl,--discard-none' list.txt
	gcc -O2 -Wa,-L -Wl,--discard-none flt.c -o flt || fail "gcc"
	"$TAPEBPF" list ./flt >list2.txt || fail "list: status $?"
	assert_match "readable" 'arg0 f64 \(8f@\.L' list2.txt
	! grep -q 'constants at a label' list2.txt || fail "said where it is not so"
}

run_test a_file
run_test dropped_labels
run_test json
run_test a_process
run_test bad_input
run_test control_characters
