# SPDX-License-Identifier: MIT
#
# tally.sh - sourced by everything that runs tests: counts results and writes the closing line.
#
# A test says one line a result: "ok - NAME", "not ok - NAME", "skip - NAME: REASON". cmocka's TAP output ("ok 1 - NAME",
# "not ok 2 # SKIP NAME") counts as well.

TALLY_PASSED=0 TALLY_FAILED=0 TALLY_SKIPPED=0

# Adds what the log in file $1 says.
tally__log() {
	set -- $(awk '
		/^(not )?ok [0-9]+ # SKIP/ || /^skip - / { skipped++; next }
		/^not ok / { failed++; next }
		/^ok / { passed++ }
		END { print passed + 0, failed + 0, skipped + 0 }' "$1")
	tally__add "$@"
}

tally__add() {
	TALLY_PASSED=$((TALLY_PASSED + $1))
	TALLY_FAILED=$((TALLY_FAILED + $2))
	TALLY_SKIPPED=$((TALLY_SKIPPED + $3))
}

# Adds the closing line "N passed, N failed, N skipped" in file $1; fails if there is none.
tally__closing() {
	set -- $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$1" | tail -n 1)
	[ $# = 3 ] && tally__add "$@"
}

# The closing line; true if nothing failed.
tally__close() {
	echo "$TALLY_PASSED passed, $TALLY_FAILED failed, $TALLY_SKIPPED skipped"
	[ $TALLY_FAILED = 0 ]
}
