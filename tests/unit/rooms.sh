#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rooms.sh - do the include arrows between the rooms of user/ run the way that the Makefile's NEEDS_* say? Fails on an
# arrow against it, on a C file in no room, on a file name that is used twice, and on a source file without its
# licence line. Prints, without failing, functions and files that have outgrown the house's limits.
cd "$(dirname "$0")/../.." || exit 1

MAX_FILE_LINES=600
MAX_FUNCTION_LINES=80

# needs ROOM: what it may include.
needs() {
	sed -n "s/^NEEDS_$1 := //p" Makefile
}

arrows() {
	local room bad=0 line

	for room in $(sed -n 's/^ROOMS := //p' Makefile); do
		while IFS=: read -r file _ included; do
			case " $(needs "$room") " in
			*" $included "*) ;;
			*) echo "$file includes a header of $included/, which $room/ must not know"; bad=1 ;;
			esac
		done < <(grep -nE '^#[[:space:]]*include "[a-z_]+/' user/"$room"/*.[ch] 2>/dev/null |
			sed -nE 's/^([^:]*):([0-9]+):#[[:space:]]*include "([a-z_]+)\/.*/\1:\2:\3/p' | grep -v ':tapebpf$')
	done
	return $bad
}

every_file_in_a_room() {
	local bad=0

	for file in user/*/*.[ch] user/*.[ch]; do
		[ -e "$file" ] || continue
		case " $(sed -n 's/^ROOMS := //p' Makefile) " in
		*" $(basename "$(dirname "$file")") "*) ;;
		*) echo "$file is in no room of the Makefile"; bad=1 ;;
		esac
	done
	return $bad
}

# strangers PATTERN ROOM...: files outside those rooms that include what matches.
strangers() {
	local pattern=$1 allowed

	shift
	allowed=$(printf 'user/%s/|' "$@")
	! grep -lE "^#[[:space:]]*include <($pattern)" user/*/*.[ch] | grep -vE "^(${allowed%|})" | sed "s#\$# includes <$pattern#" | grep .
}

only_attach_and_ingest_know_libbpf() {
	strangers 'bpf/' attach ingest
}

only_elf_knows_libelf() {
	strangers 'gelf\.h|libelf\.h|elfutils/|dwarf\.h' elf
}

names_are_unique() {
	local twice

	twice=$(git ls-files '*.c' '*.h' 2>/dev/null | sed 's|.*/||' | sort | uniq -d)
	[ -z "$twice" ] || { echo "names used twice: $twice"; return 1; }
}

licence_lines() {
	local bad

	bad=$(git ls-files '*.[ch]' '*.sh' '*.def' '*.mk' 2>/dev/null | while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier' || echo "$file"
	done)
	[ -z "$bad" ] || { echo "no SPDX line:" $bad; return 1; }
}

# Printed only: a limit is a smell, not a law.
sizes() {
	wc -l user/*/*.[ch] bpf/*.[ch] 2>/dev/null | awk -v max=$MAX_FILE_LINES '$2 != "total" && $1 > max { print "# long file: " $2 " (" $1 " lines)" }'
	awk -v max=$MAX_FUNCTION_LINES '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^}/ { if (start && FNR - start - 1 > max) print "# long function: " FILENAME ":" start " (" FNR - start - 1 " lines)"; start = 0 }' \
		user/*/*.c bpf/*.c 2>/dev/null
}

run() {
	local said

	if said=$("$1"); then
		echo "ok - rooms.$1"
	else
		echo "$said"
		echo "not ok - rooms.$1"
		failed=1
	fi
}

failed=0
run arrows
run every_file_in_a_room
run only_attach_and_ingest_know_libbpf
run only_elf_knows_libelf
run names_are_unique
run licence_lines
sizes
exit $failed
