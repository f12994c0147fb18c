#!/bin/bash
# SPDX-License-Identifier: MIT
#
# compilers.sh [-a] [COMPILER...] - does tape.h keep its word with every compiler that is installed here? compilers_every.c is built as
# strict C11 and as C++ in ways that between them cover what the header promises, without a warning under options that are harder
# than most programs', run, and its notes are read with readelf. For arm64 with the cross compilers, and run under qemu-user.
#
# COMPILER: a C compiler's name or path (its C++ one stands beside it); gcc, clang and their other versions unless given. -a: each in
# all ways, not the few that a quick run has (test_tape_builds goes through levels of optimisation and linkers).
set -u
cd "$(dirname "$0")/../../.." || exit 1

STRICT="-pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wundef -Wstrict-aliasing -Werror"
STRICT_CXX="-Wold-style-cast -Wzero-as-null-pointer-constant"
SOURCE=tests/unit/tape_h/compilers_every.c
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT

# Standard, then options; a quick run takes the first ones. Options that a compiler, its linker or its C library does not
# have at all (tried on an empty program) are left out, and said.
C_WAYS=(
	"c11 -O2 -flto -fvisibility=hidden"
	"c11 -O2 -fno-pie -no-pie -mcmodel=large"
	"c11 -O0 -g"
	"gnu11 -O3 -fPIE -pie -D_GNU_SOURCE -fno-strict-aliasing"
	"c11 -Os -static -ffunction-sections -fdata-sections"
	"c11 -O1 -g -fsanitize=address,undefined"
	"gnu2x -O2 -static-pie -fPIE"
	"c11 -O1 -g -fsanitize=thread"
)
CXX_WAYS=(
	"c++17 -O2 -fno-exceptions -fno-rtti -fvisibility=hidden -fvisibility-inlines-hidden"
	"c++2a -O0 -g"
	"c++17 -O3 -flto"
	"gnu++17 -Os -static"
	"c++17 -O1 -g -fsanitize=address,undefined"
	"c++2b -O2 -fPIE -pie -fstack-protector-all -D_FORTIFY_SOURCE=2"
	"c++17 -O1 -g -fsanitize=thread"
)
CLANG_WAY="c11 -O2 -flto=thin -fuse-ld=lld -Wl,--gc-sections -Wl,--icf=all"
X86_WAY="c11 -O2 -fcf-protection=full"
ARM_WAY="c11 -O2 -mbranch-protection=standard"

ok() { echo "ok - compilers.$1"; }
not_ok() { # WHAT; why in `log`
	{ head -n 20 "$dir/log" | sed 's/^/    /'; echo "not ok - compilers.$1"; } | cat >"$dir/said"
	cat "$dir/said"
	: >"$DIR/failed"
}
left_out() { echo "# compilers.$1: left out: $2"; }

# The note of each site: a probe's argument registers are pinned, its semaphore is there.
notes() { # PROGRAM ARCH
	local args='8@%rdi 8@%rsi'

	[ "$2" = arm64 ] && args='8@x0 8@x1'
	readelf -n "$1" 2>/dev/null | awk -v args="$args" '
		/Provider: / { ours = $2 == "every" }
		/Semaphore: / { if (ours && $NF ~ /^0x0*$/) { print "no semaphore: " $0; bad = 1 } }
		/Name: / { if (ours) name[$2] = 1 }
		/Arguments: / { if (ours) { n++; if (index($0, "Arguments: " args) == 0) { print "not pinned: " $0; bad = 1 } } }
		END {
			split("whole__begin whole__end job__open types many named at_root inlined__begin", want, " ")
			for (i in want)
				if (!(want[i] in name)) { print "no note " want[i]; bad = 1 }
			if (n < 22) { print "only " n + 0 " notes"; bad = 1 }
			exit bad
		}'
}

# RUN: what runs the program ("" itself, "no": nothing here does).
build_here() { # COMPILER LANGUAGE ARCH RUN STANDARD OPTIONS...
	local compiler=$1 language=$2 arch=$3 run=$4 standard=$5 what dir program strict=$STRICT

	[ "$language" = c++ ] && strict="$STRICT $STRICT_CXX"
	dir=$(mktemp -d "$DIR/XXXXXX")
	program=$dir/every
	shift 5
	what="$(basename "${compiler%% *}") -std=$standard $*"
	[ "$arch" = arm64 ] && what="arm64 $what"
	if ! echo 'int main(void) { return 0; }' | $compiler -x "$language" -std="$standard" "$@" -o "$dir/empty" - >"$dir/log" 2>&1 ||
		{ [ "$run" != no ] && ! $run "$dir/empty" >>"$dir/log" 2>&1; }; then
		left_out "$what" "$(tail -n 1 "$dir/log")"
		return
	fi
	if ! $compiler -x "$language" -std="$standard" "$@" $strict -Iinclude "$SOURCE" -o "$program" >"$dir/log" 2>&1; then
		not_ok "$what"
	elif ! notes "$program" "$arch" >"$dir/log"; then
		not_ok "$what"
	elif [ "$run" != no ] && ! { $run "$program" >"$dir/log" 2>&1 && [ "$(cat "$dir/log")" = done ]; }; then
		not_ok "$what"
	else
		ok "$what$([ "$run" = no ] && echo ' (not run)')"
	fi
}

# As many at a time as there are CPUs.
build() {
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	build_here "$@" &
}

ways() { # C_COMPILER CXX_COMPILER CNT ARCH RUN
	local cnt=$3 way

	for way in "${C_WAYS[@]:0:cnt}"; do
		build "$1" c "$4" "$5" $way
	done
	if ! ${2%% *} --version >/dev/null 2>&1; then
		left_out "${2%% *}" "not installed"
		return
	fi
	for way in "${CXX_WAYS[@]:0:cnt}"; do
		build "$2" c++ "$4" "$5" $way
	done
}

cxx_of() { # C_COMPILER
	case $(basename "$1") in
	clang*) echo "${1/clang/clang++}" ;;
	*) echo "${1/gcc/g++}" ;;
	esac
}

# The C compilers here, each once, whatever it is also called.
installed() {
	local name seen=" " real

	for name in gcc clang gcc-{9..20} clang-{11..25}; do
		real=$(command -v "$name") && real=$(realpath "$real") || continue
		case $seen in *" $real "*) continue ;; esac
		seen="$seen$real "
		echo "$name"
	done
}

natively() {
	local arch=x86 name cnt

	[ "$(uname -m)" = aarch64 ] && arch=arm64
	for name in ${*:-$(installed)}; do
		case $name in
		gcc | clang) cnt=${all:-2} ;;
		*) cnt=${all:-1} ;;
		esac
		ways "$name" "$(cxx_of "$name")" "$cnt" $arch ""
		case $name in *clang*) [ "$cnt" -gt 1 ] && build "$name" c $arch "" $CLANG_WAY ;; esac
		[ $arch = x86 ] && [ "$cnt" -gt 1 ] && build "$name" c x86 "" $X86_WAY
	done
}

crossed() {
	local run=no qemu cross=aarch64-linux-gnu

	if [ "$(uname -m)" = aarch64 ] || ! command -v $cross-gcc >/dev/null; then
		echo "skip - compilers.arm64: no $cross-gcc"
		return
	fi
	qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) && run="$qemu -L /usr/$cross"
	[ "$run" = no ] && echo "skip - compilers.arm64 run: no qemu-user, so built only"
	ways $cross-gcc $cross-g++ ${all:-1} arm64 "$run"
	build $cross-gcc c arm64 "$run" $ARM_WAY
	if command -v clang >/dev/null && command -v ld.lld >/dev/null; then
		build "clang --target=$cross -fuse-ld=lld" c arm64 "$run" c11 -O2
		build "clang++ --target=$cross -fuse-ld=lld" c++ arm64 "$run" c++17 -O2 -flto
	fi
}

all=
[ "${1:-}" = -a ] && all=9 && shift
[ -n "$*$(installed)" ] || { echo "no compiler is installed"; exit 77; }
natively "$@"
[ -n "$*" ] || crossed
wait
[ ! -e "$DIR/failed" ]
