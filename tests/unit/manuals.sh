#!/bin/bash
# SPDX-License-Identifier: MIT
#
# manuals.sh - are the manual pages well-formed (mandoc without a warning, a date in each), and does each say every long option
# that its command's --help lists?
cd "$(dirname "$0")/../.." || exit 1

well_formed() {
	local bad=0 page

	for page in man/*.[0-9]; do
		mandoc -T lint -W warning "$page" || bad=1
		grep -qE '^\.TH [A-Z-]+ [17] [0-9]{4}-[0-9]{2}-[0-9]{2} ' "$page" || { echo "$page: no date"; bad=1; }
	done
	return $bad
}

# What a page says, without its macros: an option may be there by either of its names.
words_of_page() {
	sed 's/\\-/-/g; s/\\f[BIRP]//g' "$1" | grep -oE -- '--?[a-zA-Z][a-zA-Z0-9-]*' | sort -u
}

# "-p --pid", " --from" ...: a line for each option of a command.
options_of_help() {
	./tapebpf "$@" --help | sed -nE 's/^ +(-([a-zA-Z])[^-]*, *|)--([a-z][a-z0-9-]+).*/-\2 --\3/p' | grep -vE -- '--(help|usage|version)$'
}

every_option_is_told() {
	local bad=0 page name short long words

	for page in man/tapebpf-*.1; do
		name=$(basename "$page" .1)
		words=" $(words_of_page "$page" | tr '\n' ' ') "
		while read -r short long; do
			case $words in *" $long "*) continue ;; esac
			case $words in *" $short "*) [ "$short" = - ] || continue ;; esac
			echo "$page does not say $long"
			bad=1
		done < <(options_of_help "${name#tapebpf-}")
	done
	return $bad
}

run() {
	local said

	if said=$("$1" 2>&1); then
		echo "ok - manuals.$1"
	else
		echo "$said"
		echo "not ok - manuals.$1"
		failed=1
	fi
}

failed=0
if command -v mandoc >/dev/null; then run well_formed; else echo "skip - manuals.well_formed: no mandoc here"; fi
if [ -x ./tapebpf ]; then run every_option_is_told; else echo "skip - manuals.every_option_is_told: ./tapebpf is not built"; fi
exit $failed
