#!/bin/bash
# SPDX-License-Identifier: MIT
#
# deps.sh - what a Debian 12 or 13 machine needs, installed where it is missing. Sourced by quickstart and test; run
# by hand: scripts/deps.sh build|test.
#
# Quick when nothing is missing: only dpkg's own database is asked. Installs nothing that is not named here, without
# recommended packages. Debian 12's own libbpf (1.1) has no uprobe_multi, so libbpf-dev is taken from
# bookworm-backports there; its line is derived from what apt fetches Debian from already.

DEPS_BUILD="gcc libc6-dev make clang llvm bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev uthash-dev"
# g++ sdt: traced programs; jq bpftrace: witnesses; qemu ...: tests/kernels; fusepy: a file system that hangs
DEPS_TEST="g++ libc6-dev binutils libcmocka-dev systemtap-sdt-dev jq bpftrace procps
	busybox-static cpio gzip xz-utils fuse3 python3-fusepy"
DEPS_TEST_X86="qemu-system-x86"
# Without these a part of the tests is skipped, with the reason printed: failing to get them is no error. tape.h's programs are built
# for arm64, and run under qemu-user.
DEPS_ARM64="gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
DEPS_BENCH="lttng-tools liblttng-ust-dev"
# clang's sanitizers and fuzzer
DEPS_FUZZ="libclang-rt-dev"
# A browser for our pictures, and what drives it, unless a node and npm of other origin are there already.
DEPS_PICTURES="chromium"
DEPS_NODE="nodejs npm"
# The linter of manual pages.
DEPS_MANUALS="mandoc"
LIBBPF_MIN=1.3

deps__say() {
	echo "deps: $*" >&2
}

deps__have() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

deps__libbpf_ok() {
	local version

	version=$(dpkg-query -W -f '${Version}' libbpf-dev 2>/dev/null) || return 1
	# Debian calls libbpf 1.4 "1:1.4..." (an epoch from the time it came with the kernel).
	dpkg --compare-versions "${version#*:}" ge $LIBBPF_MIN
}

# Prints the packages of the arguments that are not there.
deps__missing() {
	local package

	for package; do
		case $package in
		libbpf-dev) deps__libbpf_ok || echo libbpf-dev ;;
		*) deps__have "$package" || echo "$package" ;;
		esac
	done
}

# DEPS_SUDO becomes the prefix that makes a command root's; fails, with words, where there is none.
deps__root() {
	DEPS_SUDO=
	[ "$(id -u)" = 0 ] && return
	if ! command -v sudo >/dev/null; then
		deps__say "you are not root and there is no sudo. As root run: $0"
		return 1
	fi
	DEPS_SUDO=sudo
	sudo -n true 2>/dev/null || sudo -v || {
		deps__say "sudo refuses. As root run: $0"
		return 1
	}
}

deps__apt() {
	$DEPS_SUDO env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

# The mirror that apt fetches this machine's Debian from. Asked before and after the first `apt-get update`, so
# only what is written in the sources counts.
deps__site() {
	apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null |
		awk -v suite="$1" '$2 == suite { print $1; exit }'
}

deps__add_backports() {
	local suite=$1 site key=/usr/share/keyrings/debian-archive-keyring.gpg
	local list=/etc/apt/sources.list.d/tapebpf-$1-backports.list

	apt-get indextargets --format '$(RELEASE)' 2>/dev/null | grep -qx "$suite-backports" && return
	site=$(deps__site "$suite")
	if [ -z "$site" ]; then
		deps__say "apt knows no mirror of Debian $suite: add $suite-backports to its sources, then try again"
		return 1
	fi
	[ -e $key ] && key="[signed-by=$key] " || key=
	echo "deb $key$site $suite-backports main" | $DEPS_SUDO tee "$list" >/dev/null
	deps__say "added $list: libbpf >= $LIBBPF_MIN comes from there"
}

# Install what is missing of the arguments.
deps__install() {
	local missing suite from=()

	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		deps__say "no apt here: see to it that there are (as Debian calls them) $* with libbpf >= $LIBBPF_MIN"
		return
	fi
	missing=$(deps__missing "$@" | sort -u | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	deps__root || return 1
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	if [ "$suite" = bookworm ] && [[ " $missing" == *" libbpf-dev "* ]]; then
		deps__add_backports bookworm || return 1
		from=(libbpf-dev/bookworm-backports libbpf1/bookworm-backports)
	fi
	deps__say "installing: $missing"
	if ! deps__apt update; then
		deps__say "the package lists cannot be fetched: is this machine offline? Missing: $missing"
		return 1
	fi
	if ! deps__apt install -y --no-install-recommends $missing "${from[@]}" >&2; then
		deps__say "apt-get install failed (see above). Missing: $missing"
		return 1
	fi
	case " $missing" in *" libbpf-dev "*)
		deps__libbpf_ok || { deps__say "libbpf-dev is older than $LIBBPF_MIN here, and no newer one is to be had"; return 1; }
	esac
}

deps__build() {
	deps__install $DEPS_BUILD
}

# What it is good to have: all of it if apt knows all of it.
deps__wish() {
	apt-get install --simulate --no-install-recommends "$@" >/dev/null 2>&1 && deps__install "$@" && return
	deps__say "not to be had here, what needs it is skipped: $*"
}

deps__test() {
	local arch= pictures=$DEPS_PICTURES

	[ "$(uname -m)" = x86_64 ] && arch=$DEPS_TEST_X86
	deps__install $DEPS_BUILD $DEPS_TEST $arch || return
	[ -z "$arch" ] || [ -z "$(deps__missing $DEPS_ARM64)" ] || deps__wish $DEPS_ARM64
	command -v node >/dev/null && command -v npm >/dev/null || pictures="$pictures $DEPS_NODE"
	[ -z "$(deps__missing $pictures)" ] || deps__wish $pictures
	[ -z "$(deps__missing $DEPS_MANUALS)" ] || deps__wish $DEPS_MANUALS
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	case ${1:-} in
	build) deps__build ;;
	test) deps__test ;;
	bench) deps__install $DEPS_BUILD $DEPS_TEST $DEPS_BENCH ;;
	fuzz) deps__install $DEPS_BUILD $DEPS_FUZZ ;;
	--help) echo "usage: scripts/deps.sh build|test|bench|fuzz: install what is missing for it (Debian 12 and 13)" ;;
	*) echo "usage: scripts/deps.sh build|test|bench|fuzz" >&2; exit 2 ;;
	esac
fi
